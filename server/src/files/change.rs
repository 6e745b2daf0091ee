//! Remove, rename, make a folder. No link is followed, and no part of a transfer touched.

use std::io;

use cap_std::fs::Dir;
use quiver_protocol::{FilePath, Timestamp};
use quiver_transfer::file_system::{set_modified, stat};
use quiver_transfer::is_partial_name;
use tracing::warn;

use super::store::UploadStore;
use super::walk::{place, walk};
use super::{FilesError, unset};
use crate::quota_db::{FOLDER_SIZE, Owner};
use crate::unix::{self, Inode};

/// What is changed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChangedKind {
    File,
    Folder,
}

pub(super) fn remove(root: &Dir, store: &UploadStore, path: &FilePath) -> Result<(), FilesError> {
    // Freed after the lock.
    let removed: Inode;
    let folder = {
        let _lock = store.names().lock(path.as_str());
        let (folder, name) = place(root, path)?;
        let kind = kind(&folder, name)?;
        removed = Inode::of(&folder, name).map_err(FilesError::of)?;
        match kind {
            ChangedKind::File => folder.remove_file(name),
            ChangedKind::Folder => folder.remove_dir(name),
        }
        .map_err(FilesError::of_change)?;
        if let Err(error) = store.quota_db().removed(path.as_str()) {
            // It is gone: that is what the client must know.
            warn!("what was removed still counts until the janitor comes: {error}");
        }
        folder
    };
    drop(removed);
    unix::sync_dir(&folder).map_err(FilesError::Disk)
}

pub(super) fn rename(
    root: &Dir,
    store: &UploadStore,
    path: &FilePath,
    to: &FilePath,
    replace: bool,
) -> Result<(), FilesError> {
    let inside = to.as_str().strip_prefix(path.as_str());
    if inside.is_some_and(|rest| rest.starts_with('/')) {
        return Err(FilesError::Inside);
    }
    // Freed after the lock.
    let mut older: Option<Inode> = None;
    let (folder, new_folder) = {
        let _lock = store.names().lock_all();
        let (folder, name) = place(root, path)?;
        let (new_folder, new_name) = place(root, to)?;
        let what = kind(&folder, name)?;
        match kind(&new_folder, new_name) {
            Ok(there) => {
                if !replace || there != ChangedKind::File || what != ChangedKind::File {
                    return Err(FilesError::Exists);
                }
                if path == to {
                    return Ok(());
                }
                older = Some(Inode::of(&new_folder, new_name).map_err(FilesError::of)?);
            }
            Err(FilesError::NotFound) => {}
            Err(FilesError::NotAFile) => return Err(FilesError::Exists),
            Err(error) => return Err(error),
        }
        let inode = Inode::of(&folder, name).map_err(FilesError::of)?.number;
        let record = store.quota_db().begin_rename(path.as_str(), to.as_str(), inode)?;
        let renamed = match older {
            Some(_) => folder.rename(name, &new_folder, new_name),
            None => unix::rename_noreplace((&folder, name), (&new_folder, new_name)),
        };
        if let Err(error) = store.quota_db().end_rename(&record, renamed.is_ok()) {
            // The record stays: the cleanup ends it.
            warn!("the quota database is behind the files: {error}");
        }
        renamed.map_err(FilesError::of_change)?;
        (folder, new_folder)
    };
    drop(older);
    let (new, old) = (unix::sync_dir(&new_folder), unix::sync_dir(&folder));
    new.and(old).map_err(FilesError::Disk)
}

/// Whether the folder was not there before. Each one that is made counts against the owner's quota.
pub(super) fn make_folder(
    root: &Dir,
    store: &UploadStore,
    path: &FilePath,
    modified: Option<Timestamp>,
    owner: &Owner,
) -> Result<bool, FilesError> {
    if path.parts().any(is_partial_name) {
        return Err(FilesError::PartName);
    }
    let mut folder = root.try_clone().map_err(FilesError::Disk)?;
    let (mut moves, mut created) = (store.names().moves(), false);
    let text = path.as_str();
    let ends = text.match_indices('/').map(|(end, _)| end).chain([text.len()]);
    for end in ends {
        let new = NewFolder { store, owner, path: &text[..end] };
        created = match stat(&folder, new.name()) {
            // What is there already may be all that is needed.
            Ok(_) => false,
            Err(_) => new.make(root, &mut folder, &mut moves)?,
        };
        folder = walk(&folder, std::iter::once(new.name()))?;
    }
    if let Some(modified) = modified {
        unset::log(path, set_modified(&folder, ".", modified.0.into()));
    }
    Ok(created)
}

/// A folder that may have to be made.
struct NewFolder<'a> {
    store: &'a UploadStore,
    owner: &'a Owner,
    path: &'a str,
}

impl NewFolder<'_> {
    fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(self.path, |(_, name)| name)
    }

    /// Makes it in the folder it lies in, which is looked up anew where folders were moved since it was. Whether
    /// it was not there.
    fn make(&self, root: &Dir, folder: &mut Dir, moves: &mut u64) -> Result<bool, FilesError> {
        let Self { store, owner, path } = *self;
        {
            let lock = store.names().lock(path);
            if lock.moves() != *moves {
                *moves = lock.moves();
                let parents = path.rsplit_once('/').map_or("", |(parents, _)| parents);
                let parents = parents.split('/').filter(|part| !part.is_empty());
                *folder = walk(root, parents)?;
            }
            if stat(&*folder, self.name()).is_ok() {
                return Ok(false);
            }
            let _room = store.room().reserve(folder, FOLDER_SIZE)?;
            let mut reservation = store.quota_db().reserve(owner, FOLDER_SIZE, None)?;
            let record = reservation.record(path, FOLDER_SIZE, None)?;
            let made = folder.create_dir(self.name());
            let noted =
                if made.is_ok() { reservation.confirm(record) } else { reservation.revert(record) };
            if let Err(error) = noted {
                warn!("the quota database is behind the files: {error}");
            }
            match made {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
                Err(error) => return Err(FilesError::of_change(error)),
            }
        }
        unix::sync_dir(folder).map_err(FilesError::Disk)?;
        Ok(true)
    }
}

/// What a name in a folder stands for: a file or a folder, or an error.
fn kind(folder: &Dir, name: &str) -> Result<ChangedKind, FilesError> {
    let found = stat(folder, name).map_err(FilesError::of)?;
    if found.is_symlink() {
        Err(FilesError::Link)
    } else if found.is_dir() {
        Ok(ChangedKind::Folder)
    } else if found.is_file() {
        Ok(ChangedKind::File)
    } else {
        Err(FilesError::NotAFile)
    }
}
