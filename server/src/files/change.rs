//! Remove, make a folder. Follows no link, and leaves partial files alone.

use std::io;

use cap_std::fs::Dir;
use quiver_protocol::{FilePath, Timestamp};
use quiver_transfer::file_system::{set_modified, stat};
use quiver_transfer::is_partial_name;
use quiver_transfer::served_folder::open_folder;
use tracing::warn;

use super::parent::{PathKind, open_parent, path_kind};
use super::store::UploadStore;
use super::{FilesError, attribute_log};
use crate::quota_db::{FOLDER_SIZE, Owner};
use crate::unix::{self, PinnedInode};

pub(super) fn remove(root: &Dir, store: &UploadStore, path: &FilePath) -> Result<(), FilesError> {
    // Dropped after the lock is released: freeing a large file takes time.
    let removed: PinnedInode;
    let folder = {
        let _lock = store.path_locks().lock(path.as_str());
        let (folder, name) = open_parent(root, path)?;
        let kind = path_kind(&folder, name)?;
        removed = PinnedInode::open(&folder, name).map_err(FilesError::from_read)?;
        match kind {
            PathKind::File => folder.remove_file(name),
            PathKind::Folder => folder.remove_dir(name),
        }
        .map_err(FilesError::from_change)?;
        if let Err(error) = store.quota_db().remove_path(path.as_str()) {
            // The file is removed, so the request succeeds.
            warn!("a removed file still counts until the next cleanup: {error}");
        }
        folder
    };
    drop(removed);
    unix::sync_folder(&folder).map_err(FilesError::Disk)
}

/// Creates a folder and its missing parents; returns whether the folder itself was created. Each
/// created folder counts against the owner's quota.
pub(super) fn make_folder(
    root: &Dir,
    store: &UploadStore,
    path: &FilePath,
    modified: Option<Timestamp>,
    owner: &Owner,
) -> Result<bool, FilesError> {
    if path.parts().any(is_partial_name) {
        return Err(FilesError::ReservedName);
    }
    let mut folder = root.try_clone().map_err(FilesError::Disk)?;
    let (mut move_count, mut created) = (store.path_locks().move_count(), false);
    let text = path.as_str();
    let ends = text.match_indices('/').map(|(end, _)| end).chain([text.len()]);
    for end in ends {
        let new = NewFolder { store, owner, path: &text[..end] };
        created = match stat(&folder, new.name()) {
            // An existing folder is enough; `open_folder` below fails if it is anything else.
            Ok(_) => false,
            Err(_) => new.create(root, &mut folder, &mut move_count)?,
        };
        folder = open_folder(&folder, std::iter::once(new.name()))?;
    }
    if let Some(modified) = modified {
        attribute_log::log_unset(path, set_modified(&folder, ".", modified.0.into()));
    }
    Ok(created)
}

/// A folder that [`make_folder`] creates if it is missing.
struct NewFolder<'a> {
    store: &'a UploadStore,
    owner: &'a Owner,
    path: &'a str,
}

impl NewFolder<'_> {
    fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(self.path, |(_, name)| name)
    }

    /// Creates it in its parent `folder`, which is opened again if folders were moved since.
    /// Returns whether it was missing.
    fn create(
        &self,
        root: &Dir,
        folder: &mut Dir,
        move_count: &mut u64,
    ) -> Result<bool, FilesError> {
        let Self { store, owner, path } = *self;
        {
            let lock = store.path_locks().lock(path);
            if lock.move_count() != *move_count {
                *move_count = lock.move_count();
                let parents = path.rsplit_once('/').map_or("", |(parents, _)| parents);
                let parents = parents.split('/').filter(|part| !part.is_empty());
                *folder = open_folder(root, parents)?;
            }
            if stat(&*folder, self.name()).is_ok() {
                return Ok(false);
            }
            let _space = store.free_space().reserve(folder, FOLDER_SIZE)?;
            let mut quota = store.quota_db().reserve(owner, FOLDER_SIZE, None)?;
            let row = quota.write_row(path, FOLDER_SIZE, None)?;
            let created = folder.create_dir(self.name());
            let settled = if created.is_ok() { quota.confirm(row) } else { quota.revert(row) };
            if let Err(error) = settled {
                warn!("the quota database is behind the files: {error}");
            }
            match created {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
                Err(error) => return Err(FilesError::from_change(error)),
            }
        }
        unix::sync_folder(folder).map_err(FilesError::Disk)?;
        Ok(true)
    }
}
