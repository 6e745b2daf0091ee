//! Opens the folder that contains a path, for a change. Reading does not need it.

use cap_std::fs::Dir;
use quiver_protocol::FilePath;
use quiver_transfer::is_partial_name;
use quiver_transfer::served_folder::open_folder;

use super::FilesError;

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
