//! What crosses Quiver's wire: types and bytes, and nothing else.
//!
//! Hostile bytes become typed values here, once; inside the program only the typed values travel.
//! Knows nothing of QUIC, sockets, clocks, files or the environment. The words for people are in
//! `docs/protocol.md`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`version`] | the protocol's name in the TLS handshake |
//! | [`limits`] | every size on the wire, with its reason |
//! | [`frame`] | kind, length, payload |
//! | [`chunk`] | a file's content as Data frames |
//! | [`command`] | what a client asks |
//! | [`reply`] | what a server answers, and what ends an answer |
//! | [`event`] | what a server says unasked |
//! | [`refusal`] | why something was refused |
//! | [`brake`] | what held a transfer back |
//! | [`close`] | why a connection was closed |
//! | [`name`], [`path`], [`hash`], [`time`], [`secret`] | the words the above are made of |
//! | [`text`] | showing what another machine sent |

pub mod bottleneck;
pub mod chunk;
pub mod close;
pub mod command;
pub mod event;
pub mod frame;
pub mod hash;
pub mod limits;
pub mod name;
pub mod path;
pub mod refusal;
pub mod reply;
pub mod secret;
pub mod text;
pub mod time;
pub mod version;

pub use bottleneck::Bottleneck;
pub use close::CloseCode;
pub use command::{ContentPrefix, PutRequest, Request};
pub use event::Event;
pub use frame::{FrameError, FrameHeader, FrameKind};
pub use hash::{ContentHash, Fingerprint};
pub use name::ClientName;
pub use path::{FilePath, FolderPath};
pub use refusal::{Refusal, RefusalCode};
pub use reply::{ContentEnd, EofPayload, ListEnd, MadeFolder, PlainEnd, Received, Reply};
pub use secret::Secret;
pub use time::Timestamp;
