//! Commits an upload: flush, quota row, name. The row is written just before the name, under the lock of the
//! path: no file has a name without a row, and a rename or removal sees both or neither.

use std::io::{self, Write as _};
use std::time::SystemTime;

use cap_std::fs::Dir;
use quiver_protocol::PutRequest;
use quiver_transfer::{FileAttributes, PartialFile, ReplacePolicy, UnnamedFile};
use tracing::{error, warn};

use super::part::temporary;
use super::{FilesError, StagedFile, UploadStore, check_place, gone, lock};
use crate::files::unset;
use crate::files::walk::place;
use crate::quota_db::QuotaReservation;
use crate::unix::{self, Inode};

/// A file that is about to get its name.
struct Commit<'a> {
    root: &'a Dir,
    /// Whether `root` is still the folder that is served.
    is_served: &'a dyn Fn() -> bool,
    store: &'a UploadStore,
    folder: &'a Dir,
    put: &'a PutRequest,
    size: u64,
}

impl StagedFile {
    /// `whole` is all of a file that has no part.
    pub(super) fn finish(self, size: u64, whole: Option<&[u8]>) -> Result<(), FilesError> {
        let Self { root, served, store, folder, put, id, path_id, held, .. } = self;
        let is_served = || served.serves(&root);
        let (part, reservation) = {
            let mut held = lock(&held);
            (held.part.take(), held.reservation.take())
        };
        let Some(mut reservation) = reservation else { return Err(FilesError::Disk(gone())) };
        let commit = Commit {
            root: &root,
            is_served: &is_served,
            store: &store,
            folder: &folder,
            put: &put,
            size,
        };
        if let Err(reason) = commit.store(part, whole, &mut reservation) {
            // Whole, and yet of no use: what stands in its way would stand there the next time.
            let part = id.map(|id| PartialFile::open(&folder, id));
            if let Err(error) = reservation.without_part() {
                error!("a partial file that was removed still counts: {error}");
            }
            if let Some(Ok(part)) = part {
                part.discard();
            }
            return Err(reason);
        }
        if let Some(other) = path_id.filter(|_| id.is_none()) {
            store.upload_locks.mark_obsolete(other);
            store.remove_waiting_part(&folder, other, reservation.owner());
        }
        unix::sync_dir(&folder).map_err(FilesError::Disk)
    }
}

impl Commit<'_> {
    /// Flushes the file and gives it its name; the folder is not flushed yet.
    fn store(
        &self,
        part: Option<PartialFile>,
        whole: Option<&[u8]>,
        reservation: &mut QuotaReservation,
    ) -> Result<(), FilesError> {
        let Self { folder, put, .. } = *self;
        let name = put.path.file_name();
        let replace = if put.replace { ReplacePolicy::Existing } else { ReplacePolicy::Never };
        let modified = put.modified.map(|moment| SystemTime::from(moment.0));
        let finish = FileAttributes { modified, executable: put.executable };
        if let (None, Some(bytes), ReplacePolicy::Never) = (&part, whole, replace) {
            let file = UnnamedFile::write(folder, bytes, finish).map_err(FilesError::of_change)?;
            if let Some((file, unset)) = file
                && self.give_name(reservation, || file.give_name(folder, name))?
            {
                unset::log(&put.path, unset);
                return Ok(());
            }
        }
        let part = match (part, whole) {
            (Some(part), _) => Ok(part),
            (None, Some(bytes)) => self.temporary(bytes),
            (None, None) => Err(gone()),
        };
        let part = part.map_err(FilesError::of_change)?;
        let unset = part.flush_to_disk(finish).map_err(FilesError::of_change)?;
        self.give_name(reservation, || part.rename(name, replace).map(|()| true))?;
        unset::log(&put.path, unset);
        Ok(())
    }

    /// A small file for which there is no part.
    fn temporary(&self, bytes: &[u8]) -> io::Result<PartialFile> {
        let mut part = temporary(self.folder, &self.store.quota_db)?;
        part.write_all(bytes)?;
        Ok(part)
    }

    /// Writes the file's row and gives it its name. Without the name (`false`, or an error) the row is removed.
    fn give_name(
        &self,
        reservation: &mut QuotaReservation,
        give_name: impl FnOnce() -> io::Result<bool>,
    ) -> Result<bool, FilesError> {
        let path = self.put.path.as_str();
        // Freed after the lock.
        let older: Option<Inode>;
        let _lock = self.store.names.lock(path);
        older = self.check_still_there()?;
        if !(self.is_served)() {
            // Another folder is served by now, and the rows are of what is there.
            reservation.holds(0);
            return give_name().map_err(FilesError::of_change);
        }
        let record =
            reservation.record(path, self.size, older.as_ref().map(|inode| inode.number))?;
        let named = give_name();
        let noted = match named {
            Ok(true) => reservation.confirm(record),
            _ => reservation.revert(record),
        };
        if let Err(error) = noted {
            // The next cleanup repairs the row.
            warn!("the quota database is behind the files: {error}");
        }
        named.map_err(FilesError::of_change)
    }

    /// The file that gives way. An error, where the folder is not any more where it was, or the
    /// name is taken: somebody may have moved it.
    fn check_still_there(&self) -> Result<Option<Inode>, FilesError> {
        let (now, name) = place(self.root, &self.put.path)?;
        if !unix::is_same_folder(&now, self.folder).map_err(FilesError::Disk)? {
            return Err(FilesError::NotFound);
        }
        if !check_place(self.folder, name, self.put.replace)? {
            return Ok(None);
        }
        Inode::of(self.folder, name).map(Some).map_err(FilesError::of)
    }
}
