//! Stories that measure memory or time, or load the machine: each runs without other tests beside it
//! (.config/nextest.toml).

mod cancelled_offers;
mod many_connections;
mod memory;
mod mutations;
mod rates;
mod unread_responses;
