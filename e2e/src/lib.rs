//! Whole-system stories: what they share. The stories are in `tests`, the benchmark in `src/bin`.

#![expect(clippy::expect_used, reason = "a story that cannot go on ends there")]

pub mod terminal;
