//! Stories that measure memory or time, or crowd the machine: each runs with no other beside it
//! (.config/nextest.toml).

mod crowds;
mod memory;
mod mutations;
mod rates;
mod unread_answers;
