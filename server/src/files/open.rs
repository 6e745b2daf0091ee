//! A file, opened to be read.

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _};
use cap_std::fs::{Dir, OpenOptions};
use quiver_protocol::FilePath;
use quiver_transport::content::{Source, is_part_name};

use super::FilesError;
use super::walk::{is_link, walk};
use crate::unix;

pub(super) fn open(root: &Dir, path: &FilePath) -> Result<Source, FilesError> {
    let parts: Vec<&str> = path.parts().collect();
    let Some((name, folders)) = parts.split_last() else { return Err(FilesError::NotFound) };
    if is_part_name(name) {
        return Err(FilesError::NotFound);
    }
    let folder = walk(root, folders.iter().copied())?;
    let mut options = OpenOptions::new();
    // Opened without waiting (a pipe would), then asked what it is: no name can change in between.
    unix::without_waiting(options.read(true)).follow(FollowSymlinks::No);
    let file = folder.open_with(name, &options).map_err(|error| {
        if is_link(&folder, name) { FilesError::Link } else { FilesError::of(error) }
    })?;
    if !file.metadata().map_err(FilesError::Disk)?.is_file() {
        return Err(FilesError::NotAFile);
    }
    Source::new(file.into_std()).map_err(FilesError::Disk)
}
