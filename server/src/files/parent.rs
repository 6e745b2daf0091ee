//! Opens the folder that contains a path, for a change, or the nearest one that exists. Reading
//! needs neither.

use cap_std::fs::Dir;
use quiver_protocol::{FilePath, FolderPath};
use quiver_transfer::file_system::stat;
use quiver_transfer::is_partial_name;
use quiver_transfer::served_folder::{ServedPathError, open_folder};

use super::FilesError;

/// What can be removed or renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathKind {
    File,
    Folder,
}

/// Opens the folder that contains a path; returns it with the name in it.
pub(super) fn open_parent<'a>(
    root: &Dir,
    path: &'a FilePath,
) -> Result<(Dir, &'a str), FilesError> {
    if path.parts().any(is_partial_name) {
        return Err(FilesError::ReservedName);
    }
    let parts: Vec<&str> = path.parts().collect();
    let Some((name, folders)) = parts.split_last() else { return Err(FilesError::NotFound) };
    Ok((open_folder(root, folders.iter().copied())?, *name))
}

/// Opens a folder; if it does not exist, the nearest one above it.
pub(super) fn open_existing(root: &Dir, path: &FolderPath) -> Result<Dir, FilesError> {
    let mut folder = root.try_clone().map_err(FilesError::Disk)?;
    for part in path.parts() {
        folder = match open_folder(&folder, std::iter::once(part)) {
            Err(ServedPathError::NotFound) => break,
            below => below?,
        };
    }
    Ok(folder)
}

/// The kind of the file or folder at `name`. A link or a special file is an error.
pub(super) fn path_kind(folder: &Dir, name: &str) -> Result<PathKind, FilesError> {
    let found = stat(folder, name).map_err(FilesError::from_read)?;
    if found.is_symlink() {
        Err(FilesError::SymbolicLink)
    } else if found.is_dir() {
        Ok(PathKind::Folder)
    } else if found.is_file() {
        Ok(PathKind::File)
    } else {
        Err(FilesError::NotAFile)
    }
}
