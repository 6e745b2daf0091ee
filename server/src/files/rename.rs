//! Renames a file or folder, also to another disk. Follows no link.

use std::sync::Arc;

use cap_std::fs::Dir;
use quiver_protocol::FilePath;
use quiver_protocol::text::display_safe;
use quiver_transfer::partial_name;
use tracing::warn;

use super::FilesError;
use super::parent::{PathKind, open_parent, path_kind};
use super::store::UploadStore;
use super::tree_copy::{Snapshot, TreeCopy, remove_tree};
use crate::quota_db::RecordedRename;
use crate::unix::{self, PinnedInode};

/// A rename. With `replace`, a file may replace a file.
#[derive(Debug, Clone)]
pub(super) struct Rename {
    pub(super) root: Arc<Dir>,
    pub(super) store: Arc<UploadStore>,
    pub(super) path: FilePath,
    pub(super) to: FilePath,
    pub(super) replace: bool,
}

impl Rename {
    /// Renames, if the new path is on the same disk. Blocks.
    ///
    /// # Errors
    /// [`FilesError`]; [`FilesError::OtherDisk`] if [`move_to_other_disk`](Self::move_to_other_disk) can do it.
    pub(super) fn rename_in_place(&self) -> Result<(), FilesError> {
        let Self { root, store, path, to, replace } = self;
        let inside = to.as_str().strip_prefix(path.as_str());
        if inside.is_some_and(|rest| rest.starts_with('/')) {
            return Err(FilesError::MoveIntoItself);
        }
        // Dropped after the lock is released: freeing a large file takes time.
        let replaced: Option<PinnedInode>;
        let names = {
            let _lock = store.path_locks().lock_all();
            let names = Names::open(root, path, to)?;
            let Names { folder, name, new_folder, new_name } = &names;
            replaced = names.check_new_name(*replace)?;
            if path == to {
                return Ok(());
            }
            let inode = PinnedInode::open(folder, name).map_err(FilesError::from_read)?.number;
            let record = store.quota_db().record_rename(path.as_str(), to.as_str(), inode)?;
            let renamed = match replaced {
                Some(_) => folder.rename(name, new_folder, new_name),
                None => unix::rename_noreplace((folder, name), (new_folder, new_name)),
            };
            settle(store, &record, renamed.is_ok());
            renamed.map_err(FilesError::from_change)?;
            names
        };
        drop(replaced);
        names.sync()
    }

    /// Copies to another disk, gives the copy its name, and removes the original; as long as that
    /// takes, other changes go on. If this process is killed, the original or the complete copy has
    /// its name, or both. Stops copying once `is_cancelled`. Blocks.
    ///
    /// # Errors
    /// [`FilesError`]; then nothing is moved.
    pub(super) fn move_to_other_disk(
        &self,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<(), FilesError> {
        let Self { root, store, path, to, replace } = self;
        let names = Names::open(root, path, to)?;
        let Names { folder, name, new_folder, new_name } = &names;
        let snapshot = Snapshot::read(folder, name)?;
        let _space = store.free_space().reserve(new_folder, snapshot.bytes())?;
        let mut copy = TreeCopy::make(
            (folder, name),
            &snapshot,
            new_folder,
            temporary_name(store),
            is_cancelled,
        )?;
        let replaced: Option<PinnedInode>;
        let removed_name = temporary_name(store);
        let hidden = {
            let _lock = store.path_locks().lock_all();
            let now = Names::open(root, path, to)?;
            if !now.is_same(&names)? || Snapshot::read(folder, name)? != snapshot {
                return Err(FilesError::ChangedMeanwhile);
            }
            replaced = names.check_new_name(*replace)?;
            let inode = copy.inode();
            let record = store.quota_db().record_rename(path.as_str(), to.as_str(), inode)?;
            let named = copy.give_name(new_name, replaced.is_some());
            settle(store, &record, named.is_ok());
            named.map_err(FilesError::from_change)?;
            // Removing a large folder takes time. The cleanup after the next start would find it.
            unix::rename_noreplace((folder, name), (folder, &removed_name))
        };
        drop(replaced);
        let is_folder = snapshot.is_folder();
        let removed = hidden.and_then(|()| remove_tree(folder, &removed_name, is_folder));
        names.sync()?;
        // The copy has its name, so this must not look as if nothing had been moved.
        if let Err(error) = removed {
            let path = display_safe(path.as_str());
            warn!("{path} was copied to another disk, but the original cannot be removed: {error}");
        }
        Ok(())
    }
}

/// The name of a partial file or folder that the cleanup removes after a restart.
fn temporary_name(store: &UploadStore) -> String {
    partial_name(store.quota_db().new_temporary_id())
}

/// Settles the record of a rename.
fn settle(store: &UploadStore, record: &RecordedRename, is_done: bool) {
    if let Err(error) = store.quota_db().settle_rename(record, is_done) {
        // The record stays, and the next cleanup settles it.
        warn!("the quota database is behind the files: {error}");
    }
}

/// The old and the new name, in their open folders.
struct Names<'a> {
    folder: Dir,
    name: &'a str,
    new_folder: Dir,
    new_name: &'a str,
}

impl<'a> Names<'a> {
    fn open(root: &Dir, path: &'a FilePath, to: &'a FilePath) -> Result<Self, FilesError> {
        let (folder, name) = open_parent(root, path)?;
        let (new_folder, new_name) = open_parent(root, to)?;
        Ok(Self { folder, name, new_folder, new_name })
    }

    /// Whether both are in the same folders as the others.
    fn is_same(&self, other: &Self) -> Result<bool, FilesError> {
        let is_same = |one, other| unix::is_same_folder(one, other).map_err(FilesError::Disk);
        Ok(is_same(&self.folder, &other.folder)? && is_same(&self.new_folder, &other.new_folder)?)
    }

    /// Returns the file that is to be replaced, if there is one. An error if the new name exists
    /// and may not be replaced.
    fn check_new_name(&self, replace: bool) -> Result<Option<PinnedInode>, FilesError> {
        let kind = path_kind(&self.folder, self.name)?;
        match path_kind(&self.new_folder, self.new_name) {
            Ok(PathKind::File) if replace && kind == PathKind::File => {
                let target = PinnedInode::open(&self.new_folder, self.new_name);
                Ok(Some(target.map_err(FilesError::from_read)?))
            }
            Ok(_) | Err(FilesError::NotAFile) => Err(FilesError::AlreadyExists),
            Err(FilesError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Flushes both folders.
    fn sync(&self) -> Result<(), FilesError> {
        let (new, old) = (unix::sync_folder(&self.new_folder), unix::sync_folder(&self.folder));
        new.and(old).map_err(FilesError::Disk)
    }
}
