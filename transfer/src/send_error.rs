//! Why content was not sent to its end.

use std::io;

use quiver_transport::stream::StreamError;
use thiserror::Error;

/// Why content was not sent to its end.
#[derive(Debug, Error)]
pub enum SendError {
    /// The file shrank or was rewritten while it was sent.
    #[error("the file changed while it was sent")]
    Changed,
    /// The file ends before the size that its file system reports, and was not changed.
    #[error("the file ends before the size that its file system reports")]
    WrongSize,
    /// The file could not be read.
    #[error("cannot read the file: {0}")]
    Disk(#[from] io::Error),
    /// The stream failed.
    #[error(transparent)]
    Stream(#[from] StreamError),
}
