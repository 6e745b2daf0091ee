//! Flushes files and folders to disk. A file system that does not support that is logged once; a
//! disk that fails is an error.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use cap_std::fs::Dir;
use rustix::io::Errno;

use super::is_unsupported;

/// Whether a missing flush was logged, for files and for folders.
static LOGGED: [AtomicBool; 2] = [AtomicBool::new(false), AtomicBool::new(false)];

/// Flushes an open file's content to disk, if its file system supports that.
///
/// # Errors
/// An I/O error: the disk failed or is full.
pub fn sync_file(file: &File) -> io::Result<()> {
    match rustix::io::retry_on_intr(|| rustix::fs::fsync(file)) {
        Err(error @ (Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)) => {
            log_once(&LOGGED[0], "files", error);
            Ok(())
        }
        synced => Ok(synced?),
    }
}

/// Flushes the names in a folder to disk, if its file system supports that.
///
/// # Errors
/// An I/O error: the disk failed.
pub fn sync_folder(folder: &Dir) -> io::Result<()> {
    let synced = match rustix::fs::fsync(folder) {
        // The handle was opened with `O_PATH`.
        Err(Errno::BADF) => match folder.open(".") {
            Ok(opened) => rustix::fs::fsync(&opened),
            Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
        },
        synced => synced,
    };
    match synced {
        Err(error) if is_unsupported(error) || matches!(error, Errno::BADF | Errno::ISDIR) => {
            log_once(&LOGGED[1], "folders", error);
            Ok(())
        }
        synced => Ok(synced?),
    }
}

fn log_once(logged: &AtomicBool, what: &str, error: Errno) {
    if !logged.swap(true, Ordering::Relaxed) {
        let error = io::Error::from(error);
        tracing::warn!(
            "this file system cannot flush {what}: what was stored may be lost with the power: {error}"
        );
    }
}
