//! Whole-system stories: what they share. The stories are in `tests`, the benchmark in `src/bin`.
