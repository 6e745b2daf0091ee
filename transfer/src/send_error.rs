//! Why content was not sent to its end.

use std::io;

use quiver_transport::stream::StreamError;
use thiserror::Error;

/// Why content was not sent to its end.
#[derive(Debug, Error)]
pub enum SendError {
    /// The file shrank or was rewritten meanwhile.
    #[error("the file changed while it was sent")]
    Changed,
    /// The file ends before the size that its file system gives, and was not changed.
    #[error("the file ends before its size, as its file system gives it")]
    WrongSize,
    /// The file could not be read.
    #[error("cannot read the file: {0}")]
    Disk(#[from] io::Error),
    /// The stream broke off.
    #[error(transparent)]
    Stream(#[from] StreamError),
}
