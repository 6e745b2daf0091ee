//! The calls of this crate that only Unix has.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
};
use std::path::Path;

use rustix::fs::{Access, OFlags};
use rustix::io::Errno;

/// Creates a folder, and those above it, that only its owner can look into.
///
/// # Errors
/// What the system says.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes sure that a folder, or the first one above it that exists, lets this process create something.
///
/// # Errors
/// What the system says.
pub(crate) fn may_create_in(folder: &Path) -> io::Result<()> {
    for folder in folder.ancestors() {
        match rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK) {
            Err(Errno::NOENT) => {}
            checked => return Ok(checked?),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Creates a file that only its owner can read; never an existing one, never through a link.
///
/// # Errors
/// What the system says.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Opening fails at a link, waits for no other end of a pipe, and takes no terminal.
pub(crate) const NO_SURPRISES: i32 =
    OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).bits() as i32;

/// Opens a file to lock, and creates it where it is missing.
///
/// # Errors
/// What the system says.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Whether group or others have any right to an open file.
///
/// # Errors
/// What the system says.
pub(crate) fn is_shared(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.mode() & 0o077 != 0)
}

/// Whether an open file is this user's, has one name, and nobody else may write to it.
///
/// # Errors
/// What the system says.
pub(crate) fn is_mine_alone(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    let is_mine = metadata.uid() == rustix::process::geteuid().as_raw();
    Ok(is_mine && metadata.nlink() == 1 && metadata.mode() & 0o002 == 0)
}

/// Whether something was not opened because it is a link.
///
/// # Errors
/// What the system says.
pub(crate) fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// Opens a file to read, and waits for nobody: not even for who writes to a pipe.
///
/// # Errors
/// What the system says.
pub(crate) fn open_without_waiting(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// What is no regular file, with its article; `None` where it is one.
///
/// # Errors
/// What the system says.
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
