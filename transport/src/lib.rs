//! QUIC and TLS for Quiver: who a machine is, whom it believes, endpoints, and framed streams. Knows the wire's
//! frames, not what commands mean.
//!
//! | module | what it holds |
//! |---|---|
//! | [`identity`] | a key and its self-signed certificate: create, keep, load, fingerprint |
//! | [`trust`] | which certificates are believed, and why one was not |
//! | [`tls`] | the rustls configurations, over one crypto provider |
//! | [`endpoint`] | sockets that dial and accept, and their QUIC settings, each with its cost |
//! | [`role`] | what each role may use: windows and stream counts, each with its cost |
//! | [`alpn`] | protocols, with the roles of their two sides |
//! | [`handshake`] | accepted connections, routed by protocol |
//! | [`stream`] | one frame read or written, with a limit and a timeout |
//! | [`priority`] | control traffic is written before content |
//! | [`channel`] | a connection with its role and the priority among its streams |
//! | [`mod@close`] | why a connection ended |
//! | [`liveness`] | whether the other side is still there |
//! | [`log_writer`] | log lines, written by a thread of their own |

pub mod alpn;
pub mod channel;
pub mod close;
mod congestion;
mod crypto;
pub mod endpoint;
pub mod handshake;
pub mod identity;
pub mod liveness;
pub mod log_writer;
mod path_mtu;
pub mod priority;
pub mod role;
mod socket;
pub mod stream;
pub mod tls;
pub mod trust;
mod unix;

pub use alpn::Protocol;
pub use channel::Channel;
pub use close::{ConnectionEnd, close};
pub use endpoint::Endpoint;
pub use handshake::{AcceptedConnection, Handshake};
pub use identity::{CertificateInfo, Identity, IdentityError};
pub use log_writer::LogWriter;
pub use priority::StreamPriority;
pub use role::Role;
pub use stream::{CommandStream, Frame, FrameReader, FrameWriter, StreamError};
pub use trust::{ServerVerifier, TrustError};

/// The connection type, so that users of this crate name no other crate for it.
pub use quinn::Connection;
