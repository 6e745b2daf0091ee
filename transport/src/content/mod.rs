//! A file's content on a stream: one engine for every command that moves files.
//!
//! The wire cuts content into chunks of 1024 bytes; here it moves in blocks of 256 KiB: one read, one
//! hash, one write, one `Bytes` for QUIC. File work runs on blocking threads, a block or a few at a time,
//! so that the thread that drives QUIC stays free for messages, and a slow client holds no thread.
//! Knows open files, not what they are called on a server.

mod hop;
mod limited;
mod part;
mod prefix;
mod receive;
mod send;
mod source;
mod times;
mod whole;

pub use hop::is_moving;
pub use limited::LimitedBy;
pub use part::{
    Finish, PART_PREFIX, PART_SUFFIX, PartFile, Replace, is_part_name, part_content, part_length,
};
pub use prefix::Hashed;
pub use receive::{Arrival, ReceiveError, Size, receive, receive_small};
pub use send::{SendError, send};
pub use source::Source;
pub use times::{Times, Watch};
pub use whole::{NamelessFile, store_new};

/// A file of no more bytes is small: it fits into a quarter of a block, and its hash takes no longer than
/// waking a thread does.
pub const SMALL: u64 = 64 * 1024;
