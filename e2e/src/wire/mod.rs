//! The wire as `docs/protocol.md` describes it, written anew: frames, streams, content, a client.
//!
//! Uses none of Quiver's own code, and checks every rule of the page that a client can check. What is
//! expected of a stream's two halves holds at either end, so a server can be put together from the
//! same parts.

mod client;
mod content;
mod frame;
mod handshake;
mod stream;
mod tls;

pub use client::{Client, Closed, Dial};
pub use content::{Content, Download};
pub use frame::{Frame, kind};
pub use handshake::first_datagrams;
pub use stream::{Answer, Broken, End, Stream};
pub use tls::{Key, client_config, fingerprint, sha256_hex};
