//! Where the receiving end of `put` stores a file. Knows nothing of streams.

use std::fmt::Display;
use std::io::Write;

use crate::HashedPrefix;

/// A file that is about to be received: its place is known and reserved. Dropped, it keeps what was
/// received for the next attempt, if there can be one.
///
/// A file of at most [`SMALL`](crate::SMALL) bytes of which nothing is kept is received in memory and stored
/// by [`commit_small`](Self::commit_small); every other one is written to its [sink](Self::sink) and stored by
/// [`commit`](Self::commit).
pub trait Staging: Send + Sync {
    /// What a file's content is written to, on blocking threads, in blocks.
    type Sink: Write + Send + 'static;

    /// Why a file cannot be stored.
    type Error: Display + Send + 'static;

    /// Whether an earlier attempt left anything.
    fn has_partial(&self) -> bool;

    /// What an earlier attempt left, read and hashed; asked for only where there is something. Takes as long as
    /// reading it does.
    ///
    /// # Errors
    /// It could not be read.
    fn hash_partial(&self) -> impl Future<Output = Result<HashedPrefix, Self::Error>> + Send;

    /// What the bytes from `offset` on are written to; kept bytes beyond it are dropped.
    ///
    /// # Errors
    /// It could not be opened there.
    fn open_sink(
        &self,
        offset: u64,
    ) -> impl Future<Output = Result<Self::Sink, Self::Error>> + Send;

    /// Gives the file its name, flushed to disk. All of its `size` bytes were written to the sink, which is
    /// dropped, and are verified. `done` is called with the result, also where this is dropped meanwhile.
    ///
    /// # Errors
    /// The file is not stored; what had the name before still has it.
    fn commit(
        self,
        size: u64,
        done: impl FnOnce(&Result<(), Self::Error>) + Send + 'static,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The same of a small file, of which `bytes` are all.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    fn commit_small(
        self,
        bytes: Vec<u8>,
        done: impl FnOnce(&Result<(), Self::Error>) + Send + 'static,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Removes what was received: the next attempt has no use for it.
    fn discard(self) -> impl Future<Output = ()> + Send;
}
