//! Commits an upload: flush, quota row, name. The row is written just before the name, under the
//! lock of the path: no file has a name without a row, and a rename or removal sees both or
//! neither.

use std::io::{self, Write as _};
use std::time::SystemTime;

use cap_std::fs::Dir;
use quiver_protocol::PutRequest;
use quiver_transfer::{FileAttributes, PartialFile, ReplacePolicy, UnnamedFile};
use tracing::{error, warn};

use super::partial_file::create_temporary;
use super::{FilesError, StagedFile, UploadStore, check_target, lock, transfer_ended};
use crate::files::attribute_log;
use crate::files::parent::open_parent;
use crate::quota_db::QuotaReservation;
use crate::unix::{self, PinnedInode};

/// A file that is about to get its name.
struct Commit<'a> {
    root: &'a Dir,
    /// Whether `root` is still the folder that is served.
    is_served: &'a dyn Fn() -> bool,
    store: &'a UploadStore,
    folder: &'a Dir,
    request: &'a PutRequest,
    size: u64,
}

impl StagedFile {
    /// Flushes the file and gives it its name. `content` is the whole content of a file without a
    /// partial file. Blocks.
    pub(super) fn commit_file(self, size: u64, content: Option<&[u8]>) -> Result<(), FilesError> {
        let Self {
            root,
            root_folder,
            store,
            folder,
            request,
            resumable_id,
            path_id,
            resources,
            ..
        } = self;
        let is_served = || root_folder.is_current(&root);
        let (partial_file, quota) = {
            let mut resources = lock(&resources);
            (resources.partial_file.take(), resources.quota.take())
        };
        let Some(mut quota) = quota else { return Err(FilesError::Disk(transfer_ended())) };
        let commit = Commit {
            root: &root,
            is_served: &is_served,
            store: &store,
            folder: &folder,
            request: &request,
            size,
        };
        if let Err(reason) = commit.store_file(partial_file, content, &mut quota) {
            // The content is complete, so a retry would fail for the same reason: keeping it is of
            // no use.
            let partial_file = resumable_id.map(|id| PartialFile::open(&folder, id));
            if let Err(error) = quota.drop_partial_file() {
                error!("a partial file that was removed still counts: {error}");
            }
            if let Some(Ok(partial_file)) = partial_file {
                partial_file.discard();
            }
            return Err(reason);
        }
        if let Some(other) = path_id.filter(|_| resumable_id.is_none()) {
            store.upload_locks.mark_obsolete(other);
            store.remove_resumable(&folder, other, quota.owner());
        }
        unix::sync_folder(&folder).map_err(FilesError::Disk)
    }
}

impl Commit<'_> {
    /// Flushes the file and gives it its name; does not flush the folder.
    fn store_file(
        &self,
        partial_file: Option<PartialFile>,
        content: Option<&[u8]>,
        quota: &mut QuotaReservation,
    ) -> Result<(), FilesError> {
        let Self { folder, request, .. } = *self;
        let name = request.path.file_name();
        let replace = if request.replace { ReplacePolicy::Existing } else { ReplacePolicy::Never };
        let modified = request.modified.map(|moment| SystemTime::from(moment.0));
        let attributes = FileAttributes { modified, executable: request.executable };
        if let (None, Some(bytes), ReplacePolicy::Never) = (&partial_file, content, replace) {
            let file =
                UnnamedFile::write(folder, bytes, attributes).map_err(FilesError::from_change)?;
            if let Some((file, unset)) = file
                && self.give_name(quota, || file.give_name(folder, name))?
            {
                attribute_log::log_unset(&request.path, unset);
                return Ok(());
            }
        }
        let partial_file = match (partial_file, content) {
            (Some(partial_file), _) => Ok(partial_file),
            (None, Some(bytes)) => self.write_temporary(bytes),
            (None, None) => Err(transfer_ended()),
        };
        let partial_file = partial_file.map_err(FilesError::from_change)?;
        let unset = partial_file
            .flush_to_disk(name, replace, attributes)
            .map_err(FilesError::from_change)?;
        self.give_name(quota, || partial_file.rename(name, replace).map(|()| true))?;
        attribute_log::log_unset(&request.path, unset);
        Ok(())
    }

    /// Writes a small file without a partial file into a temporary one.
    fn write_temporary(&self, bytes: &[u8]) -> io::Result<PartialFile> {
        let mut partial_file = create_temporary(self.folder, &self.store.quota_db)?;
        partial_file.restrict_to(self.request.path.file_name())?;
        partial_file.write_all(bytes)?;
        Ok(partial_file)
    }

    /// Writes the file's row and gives it its name. If that fails (`false`, or an error), the row
    /// is removed.
    fn give_name(
        &self,
        quota: &mut QuotaReservation,
        give_name: impl FnOnce() -> io::Result<bool>,
    ) -> Result<bool, FilesError> {
        let path = self.request.path.as_str();
        // Dropped after the lock is released: freeing a large file takes time.
        let replaced: Option<PinnedInode>;
        let _lock = self.store.path_locks.lock(path);
        replaced = self.recheck_target()?;
        if !(self.is_served)() {
            // Another folder is served now, and the quota database describes that one.
            quota.set_partial_length(0);
            return give_name().map_err(FilesError::from_change);
        }
        let row = quota.write_row(path, self.size, replaced.as_ref().map(|inode| inode.number))?;
        let named = give_name();
        let settled = match named {
            Ok(true) => quota.confirm(row),
            _ => quota.revert(row),
        };
        if let Err(error) = settled {
            // The next cleanup corrects the row.
            warn!("the quota database is behind the files: {error}");
        }
        named.map_err(FilesError::from_change)
    }

    /// The file that is to be replaced. An error if the folder was moved, or the name taken, since
    /// the upload was staged.
    fn recheck_target(&self) -> Result<Option<PinnedInode>, FilesError> {
        let (now, name) = open_parent(self.root, &self.request.path)?;
        if !unix::is_same_folder(&now, self.folder).map_err(FilesError::Disk)? {
            return Err(FilesError::NotFound);
        }
        if !check_target(self.folder, name, self.request.replace)? {
            return Ok(None);
        }
        PinnedInode::open(self.folder, name).map(Some).map_err(FilesError::from_read)
    }
}
