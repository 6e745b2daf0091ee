//! A file that comes: its place is looked at, its room reserved, its part opened; at its end it stands
//! under its name and is somebody's. Knows nothing of streams.

mod commit;
mod part;
mod sink;

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::SystemTime;

use cap_std::fs::Dir;
use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::reply::AvailableSpace;
use quiver_protocol::{FilePath, PutRequest};
use quiver_transfer::file_system::stat;
use quiver_transfer::{DiskPool, Lane};
use quiver_transfer::{HashedPrefix, PartialFile, open_partial_content};
use tokio::runtime::Handle;

pub use self::part::IfLocked;
use self::part::{StagedPart, is_usable};
pub use self::sink::PartialFileSink;
use super::names::NameLocks;
use super::root::RootFolder;
use super::space::{FreeSpace, SpaceReservation};
use super::walk::place;
use super::{FilesError, blocking};
use crate::quota_db::{Owner, QuotaDb, QuotaReservation};
use crate::upload_locks::{LockOwner, UploadLock, UploadLocks};

/// What every put has to fit into. Bytes.
#[derive(Debug, Clone, Copy)]
pub struct StoreLimits {
    /// One file; `u64::MAX` where only the disk is the limit.
    pub max_file_size: u64,
    /// What stays free on the disk.
    pub keep_free: u64,
}

/// What it takes to change anything.
#[derive(Debug)]
pub(super) struct UploadStore {
    quota_db: Arc<QuotaDb>,
    upload_locks: UploadLocks,
    names: NameLocks,
    room: Arc<FreeSpace>,
    max_file_size: u64,
    /// Temporary parts that are older were left by an earlier process.
    started: SystemTime,
}

/// A file that may come. Dropped, it leaves its part for the next attempt, if one was kept for it.
#[derive(Debug)]
pub struct StagedFile {
    root: Arc<Dir>,
    served: Arc<RootFolder>,
    store: Arc<UploadStore>,
    folder: Dir,
    put: PutRequest,
    /// The number of the part, if it stays for the next attempt.
    id: Option<u64>,
    /// The number of the owner's part for this path, whether this put has it or not.
    path_id: Option<u64>,
    /// Bytes in the part at the beginning.
    kept: u64,
    held: Arc<Mutex<StagedResources>>,
    disk_pool: DiskPool,
}

/// What a put has until its end; shared with a write that may outlive it.
#[derive(Debug)]
struct StagedResources {
    /// `None` of a small file that comes whole, and of a transfer that is over.
    part: Option<PartialFile>,
    written: u64,
    space: SpaceReservation,
    reservation: Option<QuotaReservation>,
    lock: Option<UploadLock>,
    /// What it takes to remove the part that is left where nobody needs it.
    place: Option<(Arc<UploadStore>, Dir)>,
}

impl UploadStore {
    pub(super) fn new(quota_db: QuotaDb, limits: StoreLimits) -> Self {
        let StoreLimits { max_file_size, keep_free } = limits;
        let (quota_db, room) = (Arc::new(quota_db), FreeSpace::new(keep_free));
        let (upload_locks, names, started) =
            (UploadLocks::default(), NameLocks::new(), SystemTime::now());
        Self { quota_db, upload_locks, names, room, max_file_size, started }
    }

    pub(super) fn quota_db(&self) -> &Arc<QuotaDb> {
        &self.quota_db
    }

    pub(super) fn names(&self) -> &NameLocks {
        &self.names
    }

    pub(super) fn room(&self) -> &Arc<FreeSpace> {
        &self.room
    }

    pub(super) fn started(&self) -> SystemTime {
        self.started
    }

    pub(super) fn space(&self, root: &Dir, owner: &Owner) -> Result<AvailableSpace, FilesError> {
        let room = self.room.available(root).map_err(FilesError::Disk)?;
        let available = room.min(self.quota_db.available(owner));
        Ok(AvailableSpace { available, max_file_size: self.max_file_size })
    }

    pub(super) fn lock_owner(&self, put: &PutRequest, owner: &Owner) -> Option<LockOwner> {
        self.path_id(&put.path, owner).and_then(|id| self.upload_locks.owner(id))
    }

    /// What an owner's put to a path would go on with, to be read.
    pub(super) fn kept(
        &self,
        root: &Dir,
        path: &FilePath,
        owner: &Owner,
    ) -> Result<Option<File>, FilesError> {
        let (folder, _) = place(root, path)?;
        let Some(id) = self.path_id(path, owner) else { return Ok(None) };
        let part = open_partial_content(&folder, id).map_err(FilesError::Disk)?;
        match part {
            Some(part) if !is_usable(&part, path)? => Ok(None),
            part => Ok(part),
        }
    }

    /// The number of an owner's part for a path.
    fn path_id(&self, path: &FilePath, owner: &Owner) -> Option<u64> {
        owner.is_somebody().then(|| self.quota_db.part_id(owner, path.as_str()))
    }
}

/// Stages a put. `None` where its part is locked, and to be waited for.
pub(super) fn stage(
    served: Arc<RootFolder>,
    store: Arc<UploadStore>,
    put: PutRequest,
    owner: Owner,
    by: Option<LockOwner>,
    if_locked: IfLocked,
    disk_pool: DiskPool,
) -> Result<Option<StagedFile>, FilesError> {
    let size = put.size.unwrap_or(0);
    if size > store.max_file_size {
        return Err(FilesError::TooLarge { limit: store.max_file_size });
    }
    let root = served.current();
    let (folder, name) = place(&root, &put.path)?;
    check_place(&folder, name, put.replace)?;
    let path_id = store.path_id(&put.path, &owner);
    let (mut part, id) = match store.part(&folder, &put, path_id, if_locked)? {
        StagedPart::Resumable(part, id) => (Some(part), Some(id)),
        StagedPart::Temporary(part) => (Some(part), None),
        StagedPart::Unneeded => (None, None),
        StagedPart::Locked => return Ok(None),
    };
    let mut kept = part.as_ref().map_or(Ok(0), PartialFile::length).map_err(FilesError::Disk)?;
    if let Some(part) = part.as_mut().filter(|_| kept > size) {
        part.truncate_to(0).map_err(FilesError::of_change)?;
        kept = 0;
    }
    // An empty file takes room too: a name and an inode.
    let space = store.room.reserve(&folder, if size == 0 { 1 } else { size - kept })?;
    let mut reservation = store.quota_db.reserve(&owner, size, id)?;
    if kept > 0 {
        reservation.record_part()?;
    }
    reservation.holds(kept);
    let lock = id.zip(by).map(|(id, by)| store.upload_locks.lock(id, by));
    let place = match &lock {
        Some(_) => Some((store.clone(), folder.try_clone().map_err(FilesError::Disk)?)),
        None => None,
    };
    let held =
        StagedResources { part, written: kept, space, reservation: Some(reservation), lock, place };
    let held = Arc::new(Mutex::new(held));
    Ok(Some(StagedFile { root, served, store, folder, put, id, path_id, kept, held, disk_pool }))
}

impl Drop for StagedResources {
    fn drop(&mut self) {
        let owner = self.reservation.as_ref().map(|reservation| reservation.owner().clone());
        // The part last: once it is unlocked, another put may lock it.
        drop(self.reservation.take());
        drop(self.part.take());
        self.space.set(0);
        // Only now: who waits for it then finds all of it free.
        let obsolete = self.lock.take().and_then(UploadLock::release);
        if let (Some(id), Some(owner), Some((store, folder))) = (obsolete, owner, self.place.take())
        {
            let remove = move || store.remove_waiting_part(&folder, id, &owner);
            match Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn_blocking(remove)),
                Err(_) => remove(),
            }
        }
    }
}

/// Whether a file has this name that may give way; an error, where what has it may not.
fn check_place(folder: &Dir, name: &str, replace: bool) -> Result<bool, FilesError> {
    match stat(folder, name) {
        Ok(found) if found.is_symlink() => Err(FilesError::Link),
        Ok(found) if found.is_file() && replace => Ok(true),
        Ok(_) => Err(FilesError::Exists),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FilesError::of(error)),
    }
}

impl StagedFile {
    /// Whether an earlier attempt left anything.
    #[must_use]
    pub fn has_kept(&self) -> bool {
        self.kept > 0
    }

    /// What an earlier attempt left, read and hashed: nothing, where there was none. Takes as long as
    /// reading it does, in `lane`.
    ///
    /// # Errors
    /// [`FilesError::Disk`].
    pub async fn kept(&self, lane: &Lane) -> Result<HashedPrefix, FilesError> {
        if self.kept == 0 {
            return Ok(HashedPrefix::empty());
        }
        let content = lock(&self.held).part.as_ref().map(PartialFile::content);
        let content = content.unwrap_or_else(|| Err(gone())).map_err(FilesError::Disk)?;
        let hashed = HashedPrefix::hash_file_in_lane(&content, self.kept, lane)
            .await
            .map_err(FilesError::Disk)?;
        Ok(hashed.unwrap_or_default())
    }

    /// Where the bytes from `offset` on go; what the part has beyond is dropped.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn sink(&self, offset: u64) -> Result<PartialFileSink, FilesError> {
        let folder = self.folder.try_clone().map_err(FilesError::Disk)?;
        let (held, size) = (self.held.clone(), self.put.size);
        blocking(move || {
            {
                let held = &mut *lock(&held);
                let part = held.part.as_mut().ok_or_else(gone).map_err(FilesError::Disk)?;
                part.truncate_to(offset).map_err(FilesError::of_change)?;
                held.written = offset;
                if let Some(reservation) = &mut held.reservation {
                    reservation.holds(offset);
                }
                held.space.set(size.map_or(0, |size| size - offset));
            }
            Ok(PartialFileSink { folder, sized: size.is_some(), held })
        })
        .await
    }

    /// Gives the file its name, flushed to disk. All of it has gone into the sink, which must be dropped,
    /// and was verified. `done` hears what came of it, also where nobody waits for that any more.
    ///
    /// # Errors
    /// [`FilesError`]; what stood under the name then still does, and the part is gone.
    pub async fn commit(
        self,
        size: u64,
        done: impl FnOnce(&Result<(), FilesError>) + Send + 'static,
    ) -> Result<(), FilesError> {
        blocking(move || {
            let result = self.finish(size, None);
            done(&result);
            result
        })
        .await
    }

    /// Stores a small file, all of whose bytes came and were verified, and gives it its name: the whole in one
    /// visit to the disk. `done` hears what came of it.
    ///
    /// # Errors
    /// [`FilesError`]; what stood under the name then still does, and the part is gone.
    pub async fn commit_small(
        self,
        bytes: Vec<u8>,
        done: impl FnOnce(&Result<(), FilesError>) + Send + 'static,
    ) -> Result<(), FilesError> {
        let disk_pool = self.disk_pool.clone();
        let stored = disk_pool.run(move || {
            let result = match self.write(&bytes) {
                Ok(()) => self.finish(bytes.len() as u64, Some(&bytes)),
                Err(error) => {
                    // What cannot be removed now is left to the cleanup.
                    let _ = self.remove();
                    Err(FilesError::of_change(error))
                }
            };
            done(&result);
            result
        });
        stored.await.unwrap_or_else(|ending| Err(FilesError::Disk(io::Error::other(ending))))
    }

    /// Into the part, where there is one.
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let held = &mut *lock(&self.held);
        if let Some(part) = held.part.as_mut() {
            part.truncate_to(0)?;
            part.write_all(bytes)?;
            held.space.set(0);
        }
        Ok(())
    }

    /// Removes what came.
    pub async fn discard(self) {
        // No caller is left to tell: what cannot be removed now is left to the cleanup.
        let _ = blocking(move || self.remove()).await;
    }

    fn remove(self) -> Result<(), FilesError> {
        let (part, reservation) = {
            let mut held = lock(&self.held);
            (held.part.take(), held.reservation.take())
        };
        let settled = reservation
            .map_or(Ok(()), |reservation| reservation.without_part().map_err(FilesError::from));
        if let Some(part) = part {
            part.discard();
        }
        settled
    }
}

fn gone() -> io::Error {
    io::Error::other("the transfer is over")
}

fn lock(held: &Mutex<StagedResources>) -> MutexGuard<'_, StagedResources> {
    held.lock()
}
