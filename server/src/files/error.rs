//! Why the server does not serve or change a file or folder. Does not know the wire.

use std::io;

use quiver_protocol::units;
use quiver_transfer::served_folder::ServedPathError;
use thiserror::Error;

use crate::quota_db::QuotaDbError;

/// Why the server does not serve or change a file or folder.
#[derive(Debug, Error)]
pub enum FilesError {
    /// The path does not exist.
    #[error("no such file or folder")]
    NotFound,
    /// It is a folder, a pipe, a socket or a device.
    #[error("not a regular file")]
    NotAFile,
    /// It is not a folder.
    #[error("not a folder")]
    NotAFolder,
    /// The server's user may not read it.
    #[error("the server may not read it")]
    NotReadable,
    /// The path contains a symbolic link.
    #[error("symbolic links are not served")]
    SymbolicLink,
    /// The server's user may not change the folder or the file.
    #[error("the server may not write there")]
    NotWritable,
    /// The server does not allow uploads.
    #[error("this server takes no files")]
    UploadsDisabled,
    /// The name is one of a partial file.
    #[error("names like this are reserved for partial files")]
    ReservedName,
    /// The name exists, and was not to be replaced or cannot be.
    #[error("a file or folder of this name already exists")]
    AlreadyExists,
    /// The folder is not empty; it may contain only partial files, which lists omit.
    #[error("the folder is not empty")]
    NotEmpty,
    /// A folder was to be moved into itself.
    #[error("a folder cannot be moved into itself")]
    MoveIntoItself,
    /// It was to be moved to another disk, with a link, a pipe, a socket or a device in it.
    #[error("it contains links or devices, which cannot be moved to another disk")]
    ContainsLinks,
    /// It was to be moved to another disk, and has more files and folders than that is done for.
    #[error(
        "it has more than {limit} files and folders, too many for a move to another disk at once"
    )]
    TooManyEntries {
        /// How many are moved at most.
        limit: usize,
    },
    /// It was to be moved to another disk, and has changed before the copy was complete.
    #[error("it was changed while it was copied to another disk")]
    ChangedMeanwhile,
    /// The client has left while it was copied to another disk.
    #[error("the move to another disk was cancelled")]
    Cancelled,
    /// It cannot be renamed, because its new path is on another disk.
    #[error("the new path is on another disk")]
    OtherDisk,
    /// It is larger than the server's limit.
    #[error("this server takes files of at most {}", units::bytes(*limit))]
    TooLarge {
        /// In bytes.
        limit: u64,
    },
    /// It is larger than the file system or the process's resource limit allows.
    #[error("the server's disk takes no file as large as this")]
    FileSizeLimit,
    /// The disk does not have enough free space.
    #[error("the server's disk does not have enough space")]
    DiskFull,
    /// The disk has enough free space, but the operator keeps it free.
    #[error("the server keeps {} of its disk free", units::bytes(*keep_free))]
    KeptFree {
        /// In bytes.
        keep_free: u64,
    },
    /// It would exceed the client's quota.
    #[error("it does not fit into the quota of {}", units::bytes(*quota))]
    QuotaExceeded {
        /// In bytes.
        quota: u64,
    },
    /// Its file system does not tell its size, and it is too long for a temporary file.
    #[error("its file system does not tell its size, and it has more than {}", units::bytes(*limit))]
    UnknownSizeTooLarge {
        /// In bytes.
        limit: u64,
    },
    /// The server has as many temporary files for content of unknown size as it may.
    #[error("the server is sending too many files of unknown size: try again later")]
    TooManySpools,
    /// A file of unknown size could not be read, or not copied to the folder for temporary files.
    #[error("cannot copy a file of unknown size to a temporary file: {0}")]
    SpoolFailed(io::Error),
    /// The disk of the quota database is full: the row could not be written.
    #[error("the server has no space to record it")]
    StateDiskFull(QuotaDbError),
    /// The disk failed.
    #[error("{0}")]
    Disk(io::Error),
}

impl FilesError {
    /// The error of an attempt to open or read something.
    pub(super) fn from_read(error: io::Error) -> Self {
        ServedPathError::from_read(error).into()
    }

    /// The error of an attempt to change something.
    pub(crate) fn from_change(error: io::Error) -> Self {
        match error.kind() {
            // The last one from a folder on which a disk is mounted.
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::ResourceBusy => Self::NotWritable,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            io::ErrorKind::FileTooLarge => Self::FileSizeLimit,
            io::ErrorKind::CrossesDevices => Self::OtherDisk,
            io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory => Self::AlreadyExists,
            io::ErrorKind::DirectoryNotEmpty => Self::NotEmpty,
            _ => Self::from_read(error),
        }
    }
}

impl From<ServedPathError> for FilesError {
    fn from(error: ServedPathError) -> Self {
        match error {
            ServedPathError::NotFound => Self::NotFound,
            ServedPathError::NotAFile => Self::NotAFile,
            ServedPathError::NotAFolder => Self::NotAFolder,
            ServedPathError::NotReadable => Self::NotReadable,
            ServedPathError::SymbolicLink => Self::SymbolicLink,
            ServedPathError::Disk(error) => Self::Disk(error),
        }
    }
}

impl From<QuotaDbError> for FilesError {
    fn from(error: QuotaDbError) -> Self {
        match error {
            QuotaDbError::Full { quota } => Self::QuotaExceeded { quota },
            full if full.is_disk_full() => Self::StateDiskFull(full),
            other => Self::Disk(io::Error::other(other)),
        }
    }
}
