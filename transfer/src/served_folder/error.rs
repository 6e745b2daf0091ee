//! Why a file or folder is not served. Does not know the wire.

use std::io;

use thiserror::Error;

use crate::unix;

/// Why a file or folder is not served.
#[derive(Debug, Error)]
pub enum ServedPathError {
    /// The path does not exist.
    #[error("no such file or folder")]
    NotFound,
    /// It is a folder, a pipe, a socket or a device.
    #[error("not a regular file")]
    NotAFile,
    /// It is not a folder.
    #[error("not a folder")]
    NotAFolder,
    /// This process may not read it.
    #[error("no permission to read it")]
    NotReadable,
    /// The path contains a symbolic link.
    #[error("symbolic links are not served")]
    SymbolicLink,
    /// The disk failed.
    #[error("{0}")]
    Disk(io::Error),
}

impl ServedPathError {
    /// The error of an attempt to open or read something.
    #[must_use]
    pub fn from_read(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::NotReadable,
            io::ErrorKind::NotADirectory => Self::NotAFolder,
            // A socket cannot be opened.
            _ if unix::is_unopenable(&error) => Self::NotAFile,
            _ => Self::Disk(error),
        }
    }
}
