//! The protocol's name and number.

/// The ALPN identifier (RFC 7301) both ends must agree on. What stands under it never changes in
/// meaning: new commands, replies, fields and codes extend it, a changed byte means a new name.
pub const ALPN: &[u8] = b"quiver/1";

/// The number a hello carries.
pub const VERSION: u32 = 1;
