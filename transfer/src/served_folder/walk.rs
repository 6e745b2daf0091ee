//! Opens the folders of a path one component at a time, so that no link is followed.

use cap_fs_ext::DirExt as _;
use cap_std::fs::Dir;
use rustix::path::Arg;

use super::ServedPathError;
use crate::file_system::{is_readable, stat};

/// Opens the folder at these components below `root`; `root` itself if there are none. Blocks.
///
/// # Errors
/// [`ServedPathError`].
pub fn open_folder<'a>(
    root: &Dir,
    components: impl Iterator<Item = &'a str>,
) -> Result<Dir, ServedPathError> {
    let mut folder = root.try_clone().map_err(ServedPathError::Disk)?;
    for component in components {
        folder = folder.open_dir_nofollow(component).map_err(|error| {
            if is_link(&folder, component) {
                ServedPathError::SymbolicLink
            } else {
                ServedPathError::from_read(error)
            }
        })?;
        // The user of this process may enter a folder without read permission, and would then serve
        // files that no list shows.
        if !is_readable(&folder, ".", true) {
            return Err(ServedPathError::NotReadable);
        }
    }
    Ok(folder)
}

/// Whether the name is one of a symbolic link.
pub(super) fn is_link(folder: &Dir, name: impl Arg) -> bool {
    stat(folder, name).is_ok_and(|found| found.is_symlink())
}
