//! Each conversation of this crate between two bare ends of it, over QUIC on 127.0.0.1, with either end as the one
//! that dialled. No server, no client, no accounts.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod ends;
mod get;
mod list;
mod put;
mod put_broken;
mod staging;
