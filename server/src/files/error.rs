//! Why a file or folder is not served, or not changed. Knows nothing of how clients are told.

use std::io;

use thiserror::Error;

use crate::quota_db::QuotaDbError;
use crate::unix;

/// Why a file or folder is not served, or not changed.
#[derive(Debug, Error)]
pub enum FilesError {
    /// Nothing is there.
    #[error("no such file or folder")]
    NotFound,
    /// It is a folder, a pipe, a socket or a device.
    #[error("not a regular file")]
    NotAFile,
    /// It is no folder.
    #[error("not a folder")]
    NotAFolder,
    /// The server's user may not read it.
    #[error("the server may not read it")]
    Forbidden,
    /// It is a symbolic link, or lies behind one.
    #[error("symbolic links are not served")]
    Link,
    /// The server's user may not change anything there.
    #[error("the server may not write there")]
    ReadOnly,
    /// This server takes no files at all.
    #[error("this server takes no files")]
    NoUploads,
    /// Names of this kind are the server's own.
    #[error("names like this are kept for unfinished transfers")]
    PartName,
    /// Something is there that may not, or cannot, give way.
    #[error("something stands there already")]
    Exists,
    /// The folder holds something, be it an unfinished transfer.
    #[error("the folder is not empty")]
    NotEmpty,
    /// A folder was to be moved into itself.
    #[error("a folder cannot lie in itself")]
    Inside,
    /// It is larger than this server takes.
    #[error("this server takes files of at most {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: u64,
    },
    /// The disk, or the server's process, has a limit of its own.
    #[error("the server's disk takes no file as large as this")]
    DiskLimit,
    /// The disk has not the room.
    #[error("the server's disk has no room for it")]
    NoSpace,
    /// The client has stored as much as it may.
    #[error("it does not fit into the quota of {quota} bytes")]
    Quota {
        /// In bytes.
        quota: u64,
    },
    /// Its file system does not tell its length, and it is long.
    #[error("its file system does not tell its size, and it has more than {limit} bytes")]
    NoLength {
        /// In bytes.
        limit: u64,
    },
    /// As many such files are on their way as the server holds.
    #[error("the server is sending too many files of unknown size: try again later")]
    Spools,
    /// Such a file could not be read, or copied to the folder for temporary files.
    #[error("cannot copy a file of unknown size to a temporary file: {0}")]
    Spool(io::Error),
    /// The quota database's disk has no room for the row that says whose it is.
    #[error("the server has no room to record it")]
    StateFull(QuotaDbError),
    /// The disk failed.
    #[error("{0}")]
    Disk(io::Error),
}

impl FilesError {
    /// Of an attempt to read something.
    pub(super) fn of(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::Forbidden,
            io::ErrorKind::NotADirectory => Self::NotAFolder,
            // A socket cannot be opened.
            _ if unix::is_no_file(&error) => Self::NotAFile,
            _ => Self::Disk(error),
        }
    }

    /// The same, of an attempt to change something.
    pub(crate) fn of_change(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            io::ErrorKind::FileTooLarge => Self::DiskLimit,
            io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory => Self::Exists,
            io::ErrorKind::DirectoryNotEmpty => Self::NotEmpty,
            _ => Self::of(error),
        }
    }
}

impl From<QuotaDbError> for FilesError {
    fn from(error: QuotaDbError) -> Self {
        match error {
            QuotaDbError::Full { quota } => Self::Quota { quota },
            full if full.is_disk_full() => Self::StateFull(full),
            other => Self::Disk(io::Error::other(other)),
        }
    }
}
