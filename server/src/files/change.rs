//! Remove, rename, make a folder. No link is followed, and no part of a transfer touched.

use std::io;

use cap_std::fs::Dir;
use quiver_protocol::{FilePath, Timestamp};
use quiver_transport::content::is_part_name;

use super::FilesError;
use super::store::Store;
use super::walk::{place, walk};
use crate::unix;

/// What is changed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
}

pub(super) fn remove(root: &Dir, store: &Store, path: &FilePath) -> Result<(), FilesError> {
    let (folder, name) = place(root, path)?;
    match kind(&folder, name)? {
        Kind::File => {
            folder.remove_file(name).map_err(FilesError::of_change)?;
            store.ledger().removed(path.as_str())?;
        }
        Kind::Folder => folder.remove_dir(name).map_err(FilesError::of_change)?,
    }
    unix::sync_dir(&folder).map_err(FilesError::Disk)
}

pub(super) fn rename(
    root: &Dir,
    store: &Store,
    path: &FilePath,
    to: &FilePath,
    replace: bool,
) -> Result<(), FilesError> {
    let inside = to.as_str().strip_prefix(path.as_str());
    if inside.is_some_and(|rest| rest.starts_with('/')) {
        return Err(FilesError::Inside);
    }
    let (folder, name) = place(root, path)?;
    let (new_folder, new_name) = place(root, to)?;
    let what = kind(&folder, name)?;
    let gives_way = match kind(&new_folder, new_name) {
        Ok(there) => {
            if !replace || there != Kind::File || what != Kind::File {
                return Err(FilesError::Exists);
            }
            if path == to {
                return Ok(());
            }
            true
        }
        Err(FilesError::NotFound) => false,
        Err(FilesError::NotAFile) => return Err(FilesError::Exists),
        Err(error) => return Err(error),
    };
    let renamed = if gives_way {
        folder.rename(name, &new_folder, new_name)
    } else {
        unix::rename_new((&folder, name), (&new_folder, new_name))
    };
    renamed.map_err(FilesError::of_change)?;
    store.ledger().moved(path.as_str(), to.as_str())?;
    unix::sync_dir(&new_folder).map_err(FilesError::Disk)?;
    unix::sync_dir(&folder).map_err(FilesError::Disk)
}

/// Whether the folder was not there before.
pub(super) fn make_folder(
    root: &Dir,
    path: &FilePath,
    modified: Option<Timestamp>,
) -> Result<bool, FilesError> {
    if path.parts().any(is_part_name) {
        return Err(FilesError::PartName);
    }
    let mut folder = root.try_clone().map_err(FilesError::Disk)?;
    let mut created = false;
    for part in path.parts() {
        created = match folder.create_dir(part) {
            Ok(()) => {
                unix::sync_dir(&folder).map_err(FilesError::Disk)?;
                true
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            // What is there already may be all that is needed.
            Err(_) if folder.symlink_metadata(part).is_ok() => false,
            Err(error) => return Err(FilesError::of_change(error)),
        };
        folder = walk(&folder, std::iter::once(part))?;
    }
    if let Some(modified) = modified {
        let folder = folder.open(".").map_err(FilesError::of)?.into_std();
        folder.set_modified(modified.0.into()).map_err(FilesError::of_change)?;
    }
    Ok(created)
}

/// What a name in a folder stands for: a file or a folder, or an error.
fn kind(folder: &Dir, name: &str) -> Result<Kind, FilesError> {
    let found = folder.symlink_metadata(name).map_err(FilesError::of)?;
    if found.is_symlink() {
        Err(FilesError::Link)
    } else if found.is_dir() {
        Ok(Kind::Folder)
    } else if found.is_file() {
        Ok(Kind::File)
    } else {
        Err(FilesError::NotAFile)
    }
}
