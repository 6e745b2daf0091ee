//! QUIC and TLS for Quiver: who a machine is, whom it believes, endpoints, framed streams, and a
//! file's content on a stream. Knows the wire's frames, not what commands mean.
//!
//! | module | what it holds |
//! |---|---|
//! | [`identity`] | a key and its self-signed certificate: create, keep, load, fingerprint |
//! | [`trust`] | which certificates are believed, and why one was not |
//! | [`tls`] | the rustls configurations, over one crypto provider |
//! | [`endpoint`] | sockets and QUIC settings, each with its cost |
//! | [`stream`] | one frame read or written, with a limit and a patience |
//! | [`precedence`] | talk is written before content |
//! | [`channel`] | a connection whose streams know of each other |
//! | [`mod@close`] | why a connection ended |
//! | [`pulse`] | whether the other side is still there |
//! | [`content`] | a file as Data frames: one engine for every command that moves content |
//! | [`crew`] | threads for small work on disks |
//! | [`background`] | threads of low priority for long work, in turns |
//! | [`log_writer`] | log lines, written by a thread of their own |
//! | [`file_system`] | calls that not every kernel or file system supports |

pub mod background;
pub mod channel;
pub mod close;
mod congestion;
pub mod content;
pub mod crew;
pub mod endpoint;
pub mod file_system;
pub mod identity;
pub mod log_writer;
pub mod precedence;
pub mod pulse;
mod reach;
mod socket;
pub mod stream;
pub mod tls;
pub mod trust;
mod unix;

pub use background::{BackgroundPool, Lane};
pub use channel::Channel;
pub use close::{Ended, close};
pub use crew::Crew;
pub use endpoint::Endpoint;
pub use identity::{CertificateInfo, Identity, IdentityError};
pub use log_writer::LogWriter;
pub use precedence::Precedence;
pub use stream::{CommandStream, Frame, FrameReader, FrameWriter, StreamError};
pub use trust::{ServerVerifier, TrustError};

/// The connection type, so that users of this crate name no other crate for it.
pub use quinn::Connection;
