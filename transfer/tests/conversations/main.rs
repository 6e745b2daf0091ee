//! Each conversation of this crate between two peers, over QUIC on 127.0.0.1, with either peer as
//! the one that dialled. No server, no client, no accounts.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod get;
mod list;
mod moves;
mod offered;
mod peers;
mod put;
mod put_failures;
mod staging;
