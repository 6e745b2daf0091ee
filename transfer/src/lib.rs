//! Moving content: both ends of `get`, `put` and `list`, over any connection; either end may have dialled.
//! Knows senders and receivers, no accounts and no settings; prints nothing, and logs only what a file system lacks.
//!
//! The wire cuts content into chunks of 1024 bytes; here it moves in blocks of 256 KiB: one read, one
//! hash, one write, one `Bytes` for QUIC. File work runs on blocking threads, a block or a few at a time,
//! so that the thread that drives QUIC stays free for messages, and a slow peer holds no thread.
//!
//! | module | what it holds |
//! |---|---|
//! | [`response`] | a request on a stream, and the replies to it |
//! | [`get`], [`put`], [`list`] | one conversation each, with both ends |
//! | `observer` | what a transfer tells the end that runs it |
//! | `send`, `send_error`, `receive` | content as Data frames, read or written a block at a time |
//! | `source` | where content is read from |
//! | `partial_file`, `resumable_file`, `small_file` | a file until it has its name |
//! | `prefix` | the proved beginning of a file, which need not be sent again |
//! | `proof` | where such beginnings are hashed, and how many at once |
//! | `rate_limit` | at most so many bytes a second |
//! | `timings`, `bottleneck` | where the time went, and the verdict of both ends |
//! | `batching` | how many blocks move at once |
//! | [`disk_pool`] | threads for small work on disks |
//! | [`background`] | threads of low priority for long work, in turns |
//! | [`blocking`] | work that blocks, off the thread that drives QUIC |
//! | [`file_system`] | calls that not every kernel or file system supports |

pub mod background;
mod batching;
pub mod blocking;
mod bottleneck;
pub mod disk_pool;
pub mod file_system;
pub mod get;
pub mod list;
mod observer;
mod partial_file;
mod prefix;
mod proof;
pub mod put;
mod rate_limit;
mod receive;
pub mod response;
mod resumable_file;
mod send;
mod send_error;
mod small_file;
mod source;
mod timings;
mod unix;

pub use background::{BackgroundPool, Lane};
pub use batching::has_active_transfers;
pub use bottleneck::TransferBottleneck;
pub use disk_pool::{DiskPool, ShuttingDown};
pub use observer::Observer;
pub use partial_file::{
    FileAttributes, PARTIAL_PREFIX, PARTIAL_SUFFIX, PartialFile, ReplacePolicy, is_partial_name,
    open_partial_content, partial_length,
};
pub use prefix::HashedPrefix;
pub use proof::ProofLimits;
pub use rate_limit::{BadRate, Rate, RateLimit, TransferThrottle};
pub use receive::{ContentSize, ReceiveError, ReceiveProgress, receive, receive_small};
pub use response::{ResponsePart, ResponseReader, unexpected_reply};
pub use resumable_file::{ResumableFile, StorageTarget, StoredBytes, is_stored};
pub use send::send;
pub use send_error::SendError;
pub use small_file::{UnnamedFile, store_new_file};
pub use source::Source;
pub use timings::{ThreadLoad, TransferTimings};

/// A file of no more bytes is small: it fits into a quarter of a block, and its hash takes no longer than
/// waking a thread does.
pub const SMALL: u64 = 64 * 1024;
