//! The wire as `docs/protocol.md` describes it, written anew: frames, streams, content, a client.
//!
//! Uses none of Quiver's own code, and checks every rule of the page that a client can check. A stream is
//! the same at either end, so a [`Listener`] and some frames are a server, which may be as wrong as a
//! story wants it to be.

mod client;
mod content;
mod frame;
mod handshake;
mod listener;
mod stream;
mod tls;
mod upload;

pub use client::{Client, Closed, Dial};
pub use content::{Content, Download};
pub use frame::{RawFrame, kind};
pub use handshake::first_datagrams;
pub use listener::Listener;
pub use stream::{Answer, Broken, End, Stream};
pub use tls::{Key, client_config, server_config};

pub use crate::fingerprint::{fingerprint, sha256_hex};
pub use upload::{Stored, Upload, hash};
