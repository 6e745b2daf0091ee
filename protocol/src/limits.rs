//! Every limit on the wire, with its reason. A size counts the bytes of an encoded payload, if no
//! other unit is given.

/// File bytes of one Data frame. Only the last frame of a file may have fewer; none has more.
pub const CHUNK: usize = 1024;

/// The largest payload of any frame: the length field has 16 bits.
pub const FRAME: usize = u16::MAX as usize;

/// Names that the end of a list gives of those that it leaves out: with the longest names, they fit a frame.
pub const LEFT_OUT_NAMES: usize = 10;

/// A hello: a name, a password, and space for future fields. A guest may send no more.
pub const HELLO: usize = 4 * 1024;

/// A message. The response, four characters longer, still fits a frame.
pub const MESSAGE: usize = 16 * 1024;

/// Every other request: the longest path and the JSON around it. A valid path can exceed this only
/// if it has more than 4,000 quotation marks, each of which takes two bytes of JSON.
pub const REQUEST: usize = 8 * 1024;

/// A Received frame.
pub const RECEIVED: usize = 1024;

/// A client's name, in characters (all of them ASCII).
pub const NAME: usize = 32;

/// One part of a path, in bytes of UTF-8: the limit of common file systems.
pub const PATH_PART: usize = 255;

/// A whole path, in bytes of UTF-8: the limit of Linux system calls.
pub const PATH: usize = 4096;

/// A password, in bytes of UTF-8. Bounds the time to read it; the time to hash it does not depend
/// on its length.
pub const PASSWORD: usize = 1024;

/// Hellos that a connection may send.
pub const HELLOS: u32 = 3;

/// Connections that one client may have.
pub const CONNECTIONS_PER_CLIENT: usize = 8;

/// Command streams that a member may have open at once.
pub const STREAMS: u32 = 64;

/// An offer between clients: sixteen names of the longest kind, and the JSON around them.
pub const OFFER: usize = 16 * 1024;

/// Top-level names that an offer lists. The receiver gets the others with `list`.
pub const OFFERED_NAMES: usize = 16;

/// Addresses that a client tells another client: machines with more than 25 interfaces exist.
pub const ADDRESSES: usize = 32;

/// Introductions of one client that may be open at once.
pub const INTRODUCTIONS: usize = 32;

/// Introductions that one client may request in a minute.
pub const INTRODUCTIONS_PER_MINUTE: usize = 60;

/// The datagram in a Packet frame: twice the longest that Quiver's own client sends over a relay.
pub const PACKET: usize = 16 * 1024;
