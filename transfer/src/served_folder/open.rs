//! Opens a file for reading.

use std::ffi::OsStr;
use std::fs::File;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _};
use cap_std::fs::{Dir, OpenOptions};
use quiver_protocol::FilePath;

use super::ServedPathError;
use super::walk::{is_link, open_folder};
use crate::file_system::is_readable;
use crate::{Source, is_partial_name, unix};

/// Opens a regular file below `root`; its size is fixed from then on, unless its file system does
/// not tell it. A small file is also read. Blocks.
///
/// # Errors
/// [`ServedPathError`].
pub fn open_file(root: &Dir, path: &FilePath) -> Result<Source, ServedPathError> {
    if is_partial_name(path.file_name()) {
        return Err(ServedPathError::NotFound);
    }
    match open_directly(root, path) {
        Some(file) => source_of(file),
        None => open_by_component(root, path),
    }
}

/// Like [`open_file`], for any name in a folder. The name may be any one part of a path.
pub(crate) fn open_name(folder: &Dir, name: &OsStr) -> Result<Source, ServedPathError> {
    let mut options = OpenOptions::new();
    // A pipe would block.
    unix::set_nonblocking(options.read(true)).follow(FollowSymlinks::No);
    let file = folder.open_with(name, &options).map_err(|error| {
        if is_link(folder, name) {
            ServedPathError::SymbolicLink
        } else {
            ServedPathError::from_read(error)
        }
    })?;
    source_of(file.into_std())
}

/// Checks the file after it was opened, so that its name cannot change in between.
fn source_of(file: File) -> Result<Source, ServedPathError> {
    let metadata = file.metadata().map_err(ServedPathError::Disk)?;
    if !metadata.is_file() {
        return Err(ServedPathError::NotAFile);
    }
    let source = Source::with_metadata(file, &metadata).and_then(Source::load);
    source.map_err(ServedPathError::Disk)
}

/// Opens the whole path in one system call, which nearly always works. `None` for any failure:
/// [`open_by_component`] finds out which.
fn open_directly(root: &Dir, path: &FilePath) -> Option<File> {
    let text = path.as_str();
    let mut folders = text.match_indices('/').map(|(end, _)| &text[..end]);
    // The same check as in `open_folder`.
    if !folders.all(|folder| is_readable(root, folder, true)) {
        return None;
    }
    unix::open_beneath(root, text)
}

fn open_by_component(root: &Dir, path: &FilePath) -> Result<Source, ServedPathError> {
    let parts: Vec<&str> = path.parts().collect();
    let Some((name, folders)) = parts.split_last() else { return Err(ServedPathError::NotFound) };
    open_name(&open_folder(root, folders.iter().copied())?, name.as_ref())
}
