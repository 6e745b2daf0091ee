//! The calls of this crate that only Unix has.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::RenameFlags;

/// Creates a file that only its owner can read; never an existing one, never through a link.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Whether group or others have any right to an open file.
pub(crate) fn is_shared(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.mode() & 0o077 != 0)
}

/// Makes the names in a folder as durable as the files they stand for.
pub(crate) fn sync_folder(folder: &cap_std::fs::Dir) -> io::Result<()> {
    Ok(rustix::fs::fsync(folder.open(".")?)?)
}

/// Renames within a folder, and refuses with `AlreadyExists` where the new name is taken, in one step.
pub(crate) fn rename_new(folder: &cap_std::fs::Dir, from: &str, to: &str) -> io::Result<()> {
    match rustix::fs::renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // Some file systems cannot; a hard link refuses a taken name just as atomically.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
            folder.hard_link(from, folder, to)?;
            folder.remove_file(from)
        }
        Err(error) => Err(error.into()),
    }
}
