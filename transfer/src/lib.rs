//! Content transfer: both ends of `get`, `put` and `list`, over a connection that either end
//! dialled.
//! Knows senders and receivers, but no accounts and no settings. Prints nothing, and logs only
//! operations that a file system does not support.
//!
//! The wire splits content into chunks of 1024 bytes; this crate transfers it in blocks of 256 KiB:
//! one read, one hash, one write and one `Bytes` for QUIC each. File work runs on blocking threads,
//! one or a few blocks at a time, so that the thread that drives QUIC stays free for control
//! traffic, and a slow peer occupies no thread.
//!
//! | module | what it holds |
//! |---|---|
//! | [`response`] | sending a request on a stream, and reading its replies |
//! | [`get`], [`put`], [`list`] | one conversation each, with both ends |
//! | `observer` | what a transfer reports to its caller |
//! | `send`, `send_error`, `receive` | content as Data frames, read or written in blocks |
//! | `source` | where content is read from |
//! | [`served_folder`] | reading the files and folders below an open folder |
//! | [`offered_files`] | files and folders with names of their own, as one read-only folder |
//! | `partial_file`, `resumable_file`, `small_file` | a file before it has its final name |
//! | `prefix` | the verified prefix of a file, which is not sent again |
//! | `prefix_cache` | hash states of files that were sent recently, which need not be read again |
//! | `proof` | where such prefixes are hashed, and how many at once |
//! | `rate_limit` | a limit in bytes per second |
//! | `timings`, `bottleneck` | where the time was spent, and the verdict of both ends |
//! | `batching` | how many blocks are transferred in one step |
//! | [`disk_pool`] | threads for small disk operations |
//! | [`background`] | low-priority threads for long work, shared in turns |
//! | [`blocking`] | blocking work, off the thread that drives QUIC |
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
pub mod offered_files;
mod partial_file;
mod prefix;
mod prefix_cache;
mod proof;
pub mod put;
mod rate_limit;
mod receive;
pub mod response;
mod resumable_file;
mod send;
mod send_error;
pub mod served_folder;
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
    open_partial_content, partial_length, partial_name,
};
pub use prefix::HashedPrefix;
pub use prefix_cache::PrefixCache;
pub use proof::ProofLimits;
pub use rate_limit::{InvalidRate, Rate, RateLimit, TransferThrottle};
pub use receive::{ContentSize, ReceiveError, ReceiveProgress, receive, receive_small};
pub use response::{ResponsePart, ResponseReader, unexpected_reply};
pub use resumable_file::{ResumableFile, StorageTarget, StoredBytes, is_stored};
pub use send::send;
pub use send_error::SendError;
pub use small_file::{UnnamedFile, store_new_file};
pub use source::Source;
pub use timings::{ThreadLoad, TransferTimings};

/// Largest size of a small file, in bytes: it fits into a quarter of a block, and hashing it takes
/// no longer than waking a thread.
pub const SMALL: u64 = 64 * 1024;
