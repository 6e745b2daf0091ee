//! A second implementation of the wire protocol from `docs/protocol.md`: frames, streams, content, a client.
//!
//! Uses none of Quiver's own code, and checks every rule of the page that a client can check. Both ends of a
//! stream use the same type, so a [`Listener`] with some frames is a server, which may break the protocol.

mod client;
mod content;
mod frame;
mod handshake;
mod introductions;
mod listener;
mod stream;
mod tls;
mod upload;

pub use client::{Client, CloseReason, Dialer};
pub use content::{RawContent, RawDownload};
pub use frame::{RawFrame, kind};
pub use handshake::first_datagrams;
pub use listener::Listener;
pub use stream::{RawResponse, RawStream, RawStreamError, ResponseEnd};
pub use tls::{Key, client_config, server_config};

pub use crate::fingerprint::{fingerprint, sha256_hex};
pub use upload::{RawUpload, StoredFile, hash};
