//! Every size on the wire, with its reason. Sizes are bytes of an encoded payload unless said otherwise.

/// The file bytes of one Data frame; only a file's last frame may carry fewer, none carries more.
pub const CHUNK: usize = 1024;

/// The largest payload any frame can announce: its length field has 16 bits.
pub const FRAME: usize = u16::MAX as usize;

/// A hello. A guest is not trusted with more: a name, a password and some room to grow.
pub const HELLO: usize = 4 * 1024;

/// A message. Its answer, four characters longer, still fits a frame.
pub const MESSAGE: usize = 16 * 1024;

/// Every other request: the longest path and its JSON around it. Only a path with more than 4,000
/// quotation marks, each two bytes of JSON, can be legal and yet too long to ask for.
pub const REQUEST: usize = 8 * 1024;

/// A Received frame.
pub const RECEIVED: usize = 1024;

/// A client's name, in characters (all of them ASCII).
pub const NAME: usize = 32;

/// One part of a path, in bytes of UTF-8: what common file systems allow.
pub const PATH_PART: usize = 255;

/// A whole path, in bytes of UTF-8: what Linux allows a system call.
pub const PATH: usize = 4096;

/// A password, in bytes of UTF-8. Hashing time does not depend on it, reading it does.
pub const PASSWORD: usize = 1024;

/// How many hellos a connection may try.
pub const HELLOS: u32 = 3;

/// How many connections may be one client.
pub const CONNECTIONS_PER_CLIENT: usize = 8;

/// How many command streams a member may have open at once.
pub const STREAMS: u32 = 64;
