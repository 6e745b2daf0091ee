//! The protocol's ALPN identifier and version number.

/// The ALPN identifier (RFC 7301) that both ends must agree on. The meaning of existing bytes never
/// changes under it: new commands, replies, fields and codes extend it, and an incompatible change
/// needs a new identifier.
pub const ALPN: &[u8] = b"quiver/1";

/// The version number in a hello.
pub const VERSION: u32 = 1;

/// The ALPN identifier of connections between two clients.
pub const PEER_ALPN: &[u8] = b"quiver-peer/1";
