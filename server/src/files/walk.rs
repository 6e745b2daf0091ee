//! The way from the root to a folder, part by part; no link is followed.

use cap_fs_ext::DirExt as _;
use cap_std::fs::Dir;
use quiver_protocol::FilePath;
use quiver_transfer::file_system::stat;
use quiver_transfer::is_partial_name;

use super::FilesError;
use crate::unix;

/// The folder that these parts lead to.
pub(super) fn walk<'a>(
    root: &Dir,
    parts: impl Iterator<Item = &'a str>,
) -> Result<Dir, FilesError> {
    let mut folder = root.try_clone().map_err(FilesError::Disk)?;
    for part in parts {
        folder = folder.open_dir_nofollow(part).map_err(|error| {
            if is_link(&folder, part) { FilesError::Link } else { FilesError::of(error) }
        })?;
        // Whoever may enter a folder but not read it could have files there that no list shows.
        if !unix::is_readable(&folder, ".", true) {
            return Err(FilesError::Forbidden);
        }
    }
    Ok(folder)
}

pub(super) fn is_link(folder: &Dir, name: &str) -> bool {
    stat(folder, name).is_ok_and(|found| found.is_symlink())
}

/// The folder a path lies in, and its name there, for whoever is about to change something there.
pub(super) fn place<'a>(root: &Dir, path: &'a FilePath) -> Result<(Dir, &'a str), FilesError> {
    if path.parts().any(is_partial_name) {
        return Err(FilesError::PartName);
    }
    let parts: Vec<&str> = path.parts().collect();
    let Some((name, folders)) = parts.split_last() else { return Err(FilesError::NotFound) };
    Ok((walk(root, folders.iter().copied())?, *name))
}
