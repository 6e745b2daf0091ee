//! QUIC and TLS for Quiver: identities, verification of certificates, endpoints, and framed
//! streams. Does not interpret commands.
//!
//! | module | content |
//! |---|---|
//! | [`identity`] | a key and its self-signed certificate: create, save, load, fingerprint |
//! | [`trust`] | which certificates are accepted, and why one was rejected |
//! | [`tls`] | the rustls configurations, with one crypto provider |
//! | [`congestion`] | congestion control: the choice of a controller, and its report |
//! | [`endpoint`] | sockets that dial and accept, and their QUIC settings, each with its cost |
//! | [`role`] | the limits of each role: windows and stream counts, each with its cost |
//! | [`windows`] | windows that follow the path while content moves |
//! | [`buffer_budget`] | memory for which all connections share one budget |
//! | [`alpn`] | application protocols, with the roles of their two sides |
//! | [`handshake`] | accepted connections and their protocols |
//! | [`stream`] | reading and writing frames, with limits and timeouts |
//! | [`priority`] | writing control traffic before content |
//! | [`channel`] | a connection with its role and the priority of its streams |
//! | [`mod@close`] | closing connections, and why a connection ended |
//! | `relay_socket` | the path of a connection between two clients inside a stream to the server |
//! | `quiet_socket` | drops packets of unknown senders that QUIC would answer |
//! | [`path_facts`] | what is known of the path of a connection |
//! | [`send_meter`] | what held back the data that a connection sent |
//! | [`random`] | random bytes that no one can predict |
//! | [`liveness`] | whether the other side of a connection still responds |
//! | [`log_writer`] | writing log lines on a separate thread |

pub mod alpn;
pub mod buffer_budget;
pub mod channel;
pub mod close;
pub mod congestion;
mod crypto;
pub mod endpoint;
pub mod handshake;
pub mod identity;
pub mod liveness;
pub mod log_writer;
pub mod path_facts;
mod path_mtu;
pub mod priority;
mod quiet_socket;
pub mod random;
mod relay_socket;
pub mod role;
pub mod send_meter;
mod socket;
mod stalled_pace;
pub mod stream;
pub mod tls;
pub mod trust;
mod unix;
pub mod windows;

pub use alpn::Protocol;
pub use buffer_budget::BufferBudget;
pub use channel::Channel;
pub use close::{ConnectionEnd, close, close_now};
pub use congestion::{CongestionAlgorithm, CongestionControl, CongestionReport};
pub use endpoint::{DialId, Endpoint, EndpointSettings};
pub use handshake::{AcceptedConnection, Handshake};
pub use identity::{CertificateInfo, Identity, IdentityError};
pub use log_writer::LogWriter;
pub use path_facts::PathFacts;
pub use priority::StreamPriority;
pub use relay_socket::PacketRelay;
pub use role::Role;
pub use send_meter::SendMeter;
pub use stream::{CommandStream, Frame, FrameReader, FrameWriter, StreamError};
pub use trust::{ServerVerifier, TrustError};
pub use windows::WindowPolicy;

/// The connection type, so that dependents need not depend on quinn for it.
pub use quinn::Connection;

/// The counts of frames in a connection's statistics, for the same reason.
pub use quinn::FrameStats;
