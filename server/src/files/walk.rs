//! Opens the folders of a path one component at a time, so that no link is followed.

use cap_fs_ext::DirExt as _;
use cap_std::fs::Dir;
use quiver_protocol::FilePath;
use quiver_transfer::file_system::stat;
use quiver_transfer::is_partial_name;

use super::FilesError;
use crate::unix;

/// Opens the folder at these components below `root`.
pub(super) fn open_folder<'a>(
    root: &Dir,
    components: impl Iterator<Item = &'a str>,
) -> Result<Dir, FilesError> {
    let mut folder = root.try_clone().map_err(FilesError::Disk)?;
    for component in components {
        folder = folder.open_dir_nofollow(component).map_err(|error| {
            if is_link(&folder, component) {
                FilesError::SymbolicLink
            } else {
                FilesError::from_read(error)
            }
        })?;
        // The server's user may enter a folder without read permission, and would then serve files
        // that no list shows.
        if !unix::is_readable(&folder, ".", true) {
            return Err(FilesError::NotReadable);
        }
    }
    Ok(folder)
}

pub(super) fn is_link(folder: &Dir, name: &str) -> bool {
    stat(folder, name).is_ok_and(|found| found.is_symlink())
}

/// Opens the folder that contains a path, for a change; returns it with the name in it.
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
