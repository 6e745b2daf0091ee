//! Where the receiver of `put` stores a file. Knows nothing of streams.

use std::fmt::Display;
use std::io::Write;

use crate::HashedPrefix;

/// A file that is about to be received; its path and its space are reserved. If it is dropped, the
/// received content is kept for the next attempt, if it is resumable.
///
/// A file of at most [`SMALL`](crate::SMALL) bytes without a partial file is received in memory and
/// stored by [`commit_small`](Self::commit_small); every other file is written to its
/// [sink](Self::open_sink) and stored by [`commit`](Self::commit).
pub trait Staging: Send + Sync {
    /// The writer of a file's content. It is used on blocking threads, and gets blocks.
    type Sink: Write + Send + 'static;

    /// Why a file cannot be stored.
    type Error: Display + Send + 'static;

    /// Whether an earlier attempt left a partial file.
    fn has_partial(&self) -> bool;

    /// Hashes the partial file; called only if there is one. Takes as long as reading it.
    ///
    /// # Errors
    /// The partial file could not be read.
    fn hash_partial(&self) -> impl Future<Output = Result<HashedPrefix, Self::Error>> + Send;

    /// Opens the writer for the content from `offset` on; a longer partial file is truncated.
    ///
    /// # Errors
    /// The partial file could not be opened at this offset.
    fn open_sink(
        &self,
        offset: u64,
    ) -> impl Future<Output = Result<Self::Sink, Self::Error>> + Send;

    /// Gives the file its final name, flushed to disk. All of its `size` bytes were written to the
    /// sink, which is dropped, and are verified. `done` is called with the result, also if this
    /// future is dropped before.
    ///
    /// # Errors
    /// The file is not stored; an existing file of this name is unchanged.
    fn commit(
        self,
        size: u64,
        done: impl FnOnce(&Result<(), Self::Error>) + Send + 'static,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Like [`commit`](Self::commit), for a small file whose whole content is `bytes`.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    fn commit_small(
        self,
        bytes: Vec<u8>,
        done: impl FnOnce(&Result<(), Self::Error>) + Send + 'static,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Removes the received content, because the next attempt cannot resume it.
    fn discard(self) -> impl Future<Output = ()> + Send;
}
