//! Unix-specific calls of this crate.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
};
use std::path::Path;

use rustix::fs::{Access, OFlags};
use rustix::io::Errno;

/// Creates a folder with its parents, accessible to its owner only.
///
/// # Errors
/// The system's error.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Checks that this process can create files in a folder, or in its nearest existing parent.
///
/// # Errors
/// The system's error.
pub(crate) fn check_can_create_in(folder: &Path) -> io::Result<()> {
    for folder in folder.ancestors() {
        match rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK) {
            Err(Errno::NOENT) => {}
            checked => return Ok(checked?),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Creates a file that only its owner can read. Fails if it exists, and does not follow a link.
///
/// # Errors
/// The system's error.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Flags to open a file that may be anything: fails at a link, does not wait for the other end of a pipe, and does
/// not take a terminal as the controlling one.
pub(crate) const SAFE_OPEN_FLAGS: i32 =
    OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).bits() as i32;

/// Opens a file to lock, and creates it if it is missing.
///
/// # Errors
/// The system's error.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Whether the group or others have any permission on an open file.
///
/// # Errors
/// The system's error.
pub(crate) fn is_accessible_by_others(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.mode() & 0o077 != 0)
}

/// Whether this user owns an open file, it has one name, and others may not write to it.
///
/// # Errors
/// The system's error.
pub(crate) fn is_exclusively_owned(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    let is_owned = metadata.uid() == rustix::process::geteuid().as_raw();
    Ok(is_owned && metadata.nlink() == 1 && metadata.mode() & 0o002 == 0)
}

/// Whether a file could not be opened because it is a link.
pub(crate) fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// Opens a file to read. Does not wait for the writer of a pipe.
///
/// # Errors
/// The system's error.
pub(crate) fn open_without_waiting(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// The kind of a file that is not regular, with an article; `None` for a regular file.
pub(crate) fn kind(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a folder")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}
