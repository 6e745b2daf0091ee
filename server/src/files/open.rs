//! A file, opened to be read.

use std::fs::File;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _};
use cap_std::fs::{Dir, OpenOptions};
use quiver_protocol::FilePath;
use quiver_transfer::{Source, is_partial_name};

use super::FilesError;
use super::walk::{is_link, walk};
use crate::unix;

pub(super) fn open(root: &Dir, path: &FilePath) -> Result<Source, FilesError> {
    if is_partial_name(path.file_name()) {
        return Err(FilesError::NotFound);
    }
    // Opened without waiting (a pipe would), then asked what it is: no name can change in between.
    let file = match at_once(root, path) {
        Some(file) => file,
        None => part_by_part(root, path)?,
    };
    let metadata = file.metadata().map_err(FilesError::Disk)?;
    if !metadata.is_file() {
        return Err(FilesError::NotAFile);
    }
    Source::with_metadata(file, &metadata).map_err(FilesError::Disk)
}

/// All of the way in one step, as nearly always. `None` where anything is in the way: who walks it part by part
/// learns what that is.
fn at_once(root: &Dir, path: &FilePath) -> Option<File> {
    let text = path.as_str();
    let mut folders = text.match_indices('/').map(|(end, _)| &text[..end]);
    // As on the way part by part.
    if !folders.all(|folder| unix::is_readable(root, folder, true)) {
        return None;
    }
    unix::open_beneath(root, text)
}

fn part_by_part(root: &Dir, path: &FilePath) -> Result<File, FilesError> {
    let parts: Vec<&str> = path.parts().collect();
    let Some((name, folders)) = parts.split_last() else { return Err(FilesError::NotFound) };
    let folder = walk(root, folders.iter().copied())?;
    let mut options = OpenOptions::new();
    unix::without_waiting(options.read(true)).follow(FollowSymlinks::No);
    let file = folder.open_with(name, &options).map_err(|error| {
        if is_link(&folder, name) { FilesError::Link } else { FilesError::of(error) }
    })?;
    Ok(file.into_std())
}
