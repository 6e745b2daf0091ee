//! Receives an upload into a file: checks its target, reserves space and quota, opens its partial
//! file, and at the end gives the file its name and its quota row. Knows nothing of streams.

mod commit;
mod partial_file;
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

pub use self::partial_file::LockedPolicy;
use self::partial_file::{StagedPartialFile, is_usable};
pub use self::sink::PartialFileSink;
use super::parent::open_parent;
use super::path_locks::PathLocks;
use super::root::RootFolder;
use super::space::{FreeSpace, SpaceReservation, UnreservedSpace};
use super::{FilesError, run_blocking};
use crate::quota_db::{Owner, QuotaDb, QuotaReservation};
use crate::upload_locks::{LockOwner, UploadLock, UploadLocks};

/// The limits of every upload, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct StoreLimits {
    /// Maximum size of a file; `u64::MAX` if only the disk limits it.
    pub max_file_size: u64,
    /// Space that stays free on the disk.
    pub keep_free: u64,
}

/// Everything that a change of the served folder needs.
#[derive(Debug)]
pub(super) struct UploadStore {
    quota_db: Arc<QuotaDb>,
    upload_locks: UploadLocks,
    path_locks: PathLocks,
    free_space: Arc<FreeSpace>,
    max_file_size: u64,
    /// An earlier process left the temporary partial files that are older.
    started_at: SystemTime,
}

/// An accepted upload that has no name yet. Dropping it leaves a resumable partial file for the
/// next attempt.
#[derive(Debug)]
pub struct StagedFile {
    root: Arc<Dir>,
    root_folder: Arc<RootFolder>,
    store: Arc<UploadStore>,
    folder: Dir,
    request: PutRequest,
    /// The id of the partial file, if it is resumable.
    resumable_id: Option<u64>,
    /// The id of the owner's resumable partial file for this path, whether or not this upload has
    /// it.
    path_id: Option<u64>,
    /// Bytes in the partial file when it was opened.
    initial_length: u64,
    resources: Arc<Mutex<StagedResources>>,
    disk_pool: DiskPool,
}

/// The resources that an upload holds until its end; shared with a write that may outlive the
/// upload.
#[derive(Debug)]
struct StagedResources {
    /// `None` for a small file that is written in one step, and after the transfer has ended.
    partial_file: Option<PartialFile>,
    written: u64,
    space: SpaceReservation,
    quota: Option<QuotaReservation>,
    lock: Option<UploadLock>,
    /// The store and the folder of the partial file, to remove it if it is obsolete when the lock
    /// is released.
    removal: Option<(Arc<UploadStore>, Dir)>,
}

impl UploadStore {
    pub(super) fn new(quota_db: QuotaDb, limits: StoreLimits) -> Self {
        let StoreLimits { max_file_size, keep_free } = limits;
        let (quota_db, free_space) = (Arc::new(quota_db), FreeSpace::new(keep_free));
        let (upload_locks, path_locks, started_at) =
            (UploadLocks::default(), PathLocks::new(), SystemTime::now());
        Self { quota_db, upload_locks, path_locks, free_space, max_file_size, started_at }
    }

    pub(super) fn quota_db(&self) -> &Arc<QuotaDb> {
        &self.quota_db
    }

    pub(super) fn path_locks(&self) -> &PathLocks {
        &self.path_locks
    }

    pub(super) fn free_space(&self) -> &Arc<FreeSpace> {
        &self.free_space
    }

    pub(super) fn started_at(&self) -> SystemTime {
        self.started_at
    }

    pub(super) fn space(&self, folder: &Dir, owner: &Owner) -> Result<AvailableSpace, FilesError> {
        let on_disk = self.free_space.unreserved(folder).map_err(FilesError::Disk)?;
        let UnreservedSpace { available, kept_free } = on_disk;
        let quota = self.quota_db.available(owner);
        let kept_free = (kept_free > 0 && available <= quota).then_some(kept_free);
        let max_file_size = self.max_file_size;
        Ok(AvailableSpace { available: available.min(quota), max_file_size, kept_free })
    }

    pub(super) fn lock_owner(&self, request: &PutRequest, owner: &Owner) -> Option<LockOwner> {
        self.path_id(&request.path, owner).and_then(|id| self.upload_locks.owner(id))
    }

    /// Opens the partial file that an owner's upload to this path would resume, for reading.
    pub(super) fn open_resumable(
        &self,
        root: &Dir,
        path: &FilePath,
        owner: &Owner,
    ) -> Result<Option<File>, FilesError> {
        let (folder, _) = open_parent(root, path)?;
        let Some(id) = self.path_id(path, owner) else { return Ok(None) };
        let content = open_partial_content(&folder, id).map_err(FilesError::Disk)?;
        match content {
            Some(content) if !is_usable(&content, path)? => Ok(None),
            content => Ok(content),
        }
    }

    /// The id of an owner's resumable partial file for a path.
    fn path_id(&self, path: &FilePath, owner: &Owner) -> Option<u64> {
        owner.is_identified().then(|| self.quota_db.partial_file_id(owner, path.as_str()))
    }
}

/// Stages an upload. `None` if another upload has its partial file locked, and `locked_policy` is
/// to wait for that.
pub(super) fn stage(
    root_folder: Arc<RootFolder>,
    store: Arc<UploadStore>,
    request: PutRequest,
    owner: Owner,
    lock_owner: Option<LockOwner>,
    locked_policy: LockedPolicy,
    disk_pool: DiskPool,
) -> Result<Option<StagedFile>, FilesError> {
    let size = request.size.unwrap_or(0);
    if size > store.max_file_size {
        return Err(FilesError::TooLarge { limit: store.max_file_size });
    }
    let root = root_folder.current();
    let (folder, name) = open_parent(&root, &request.path)?;
    let replaces = check_target(&folder, name, request.replace)?;
    let path_id = store.path_id(&request.path, &owner);
    let opened = store.open_partial_file(&folder, &request, path_id, locked_policy)?;
    let (mut partial_file, resumable_id) = match opened {
        StagedPartialFile::Resumable(partial_file, id) => (Some(partial_file), Some(id)),
        StagedPartialFile::Temporary(partial_file) => (Some(partial_file), None),
        StagedPartialFile::NotNeeded => (None, None),
        StagedPartialFile::Locked => return Ok(None),
    };
    if let Some(partial_file) = partial_file.as_ref().filter(|_| replaces) {
        partial_file.restrict_to(name).map_err(FilesError::from_change)?;
    }
    let length = partial_file.as_ref().map_or(Ok(0), PartialFile::length);
    let mut initial_length = length.map_err(FilesError::Disk)?;
    if let Some(partial_file) = partial_file.as_mut().filter(|_| initial_length > size) {
        partial_file.truncate_to(0).map_err(FilesError::from_change)?;
        initial_length = 0;
    }
    // An empty file takes space too: a name and an inode.
    let missing = if size == 0 { 1 } else { size - initial_length };
    let space = store.free_space.reserve(&folder, missing)?;
    let mut quota = store.quota_db.reserve(&owner, size, resumable_id)?;
    if initial_length > 0 {
        quota.record_partial_file()?;
    }
    quota.set_partial_length(initial_length);
    let lock = resumable_id.zip(lock_owner).map(|(id, owner)| store.upload_locks.lock(id, owner));
    let removal = match &lock {
        Some(_) => Some((store.clone(), folder.try_clone().map_err(FilesError::Disk)?)),
        None => None,
    };
    let resources = StagedResources {
        partial_file,
        written: initial_length,
        space,
        quota: Some(quota),
        lock,
        removal,
    };
    Ok(Some(StagedFile {
        root,
        root_folder,
        store,
        folder,
        request,
        resumable_id,
        path_id,
        initial_length,
        resources: Arc::new(Mutex::new(resources)),
        disk_pool,
    }))
}

impl Drop for StagedResources {
    fn drop(&mut self) {
        let owner = self.quota.as_ref().map(|quota| quota.owner().clone());
        // The quota before the partial file: once that is unlocked, another upload may lock it.
        drop(self.quota.take());
        drop(self.partial_file.take());
        self.space.set(0);
        // The lock last: an upload that waits for it then finds everything else released.
        let obsolete = self.lock.take().and_then(UploadLock::release);
        if let (Some(id), Some(owner), Some((store, folder))) =
            (obsolete, owner, self.removal.take())
        {
            let remove = move || store.remove_resumable(&folder, id, &owner);
            match Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn_blocking(remove)),
                Err(_) => remove(),
            }
        }
    }
}

/// Whether a file has this name that may be replaced. An error if the name exists and may not be
/// replaced.
fn check_target(folder: &Dir, name: &str, replace: bool) -> Result<bool, FilesError> {
    match stat(folder, name) {
        Ok(found) if found.is_symlink() => Err(FilesError::SymbolicLink),
        Ok(found) if found.is_file() && replace => Ok(true),
        Ok(_) => Err(FilesError::AlreadyExists),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FilesError::from_read(error)),
    }
}

impl StagedFile {
    /// Whether an earlier attempt left content that this one can resume.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        self.initial_length > 0
    }

    /// Reads and hashes the content that an earlier attempt left; empty if there is none. Takes as
    /// long as reading it does, and runs in `lane`.
    ///
    /// # Errors
    /// [`FilesError::Disk`].
    pub async fn hash_partial_file(&self, lane: &Lane) -> Result<HashedPrefix, FilesError> {
        if self.initial_length == 0 {
            return Ok(HashedPrefix::empty());
        }
        let content = lock(&self.resources).partial_file.as_ref().map(PartialFile::content);
        let content = content.unwrap_or_else(|| Err(transfer_ended())).map_err(FilesError::Disk)?;
        let hashed = HashedPrefix::hash_file_in_lane(&content, self.initial_length, lane).await;
        Ok(hashed.map_err(FilesError::Disk)?.unwrap_or_default())
    }

    /// The sink for the bytes from `offset` on; the partial file is truncated to `offset`.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn sink(&self, offset: u64) -> Result<PartialFileSink, FilesError> {
        let folder = self.folder.try_clone().map_err(FilesError::Disk)?;
        let (resources, size) = (self.resources.clone(), self.request.size);
        run_blocking(move || {
            {
                let resources = &mut *lock(&resources);
                let partial_file = resources.partial_file.as_mut().ok_or_else(transfer_ended);
                let partial_file = partial_file.map_err(FilesError::Disk)?;
                partial_file.truncate_to(offset).map_err(FilesError::from_change)?;
                resources.written = offset;
                if let Some(quota) = &mut resources.quota {
                    quota.set_partial_length(offset);
                }
                resources.space.set(size.map_or(0, |size| size - offset));
            }
            Ok(PartialFileSink { folder, is_size_known: size.is_some(), resources })
        })
        .await
    }

    /// Flushes the file and gives it its name. The caller has written and verified all content, and
    /// dropped the sink. `done` gets the result even if this future is dropped.
    ///
    /// # Errors
    /// [`FilesError`]; an existing file of this name is unchanged, and the partial file is removed.
    pub async fn commit(
        self,
        size: u64,
        done: impl FnOnce(&Result<(), FilesError>) + Send + 'static,
    ) -> Result<(), FilesError> {
        run_blocking(move || {
            let result = self.commit_file(size, None);
            done(&result);
            result
        })
        .await
    }

    /// Stores a small file, all of whose bytes were received and verified, and gives it its name,
    /// in one piece of disk work. `done` gets the result even if this future is dropped.
    ///
    /// # Errors
    /// [`FilesError`]; an existing file of this name is unchanged, and the partial file is removed.
    pub async fn commit_small(
        self,
        bytes: Vec<u8>,
        done: impl FnOnce(&Result<(), FilesError>) + Send + 'static,
    ) -> Result<(), FilesError> {
        let disk_pool = self.disk_pool.clone();
        let stored = disk_pool.run(move || {
            let result = match self.write(&bytes) {
                Ok(()) => self.commit_file(bytes.len() as u64, Some(&bytes)),
                Err(error) => {
                    // The cleanup removes what cannot be removed now.
                    let _ = self.remove();
                    Err(FilesError::from_change(error))
                }
            };
            done(&result);
            result
        });
        stored.await.unwrap_or_else(|ending| Err(FilesError::Disk(io::Error::other(ending))))
    }

    /// Writes the whole content into the partial file, if there is one.
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let resources = &mut *lock(&self.resources);
        if let Some(partial_file) = resources.partial_file.as_mut() {
            partial_file.truncate_to(0)?;
            partial_file.write_all(bytes)?;
            resources.space.set(0);
        }
        Ok(())
    }

    /// Removes the received content.
    pub async fn discard(self) {
        // No caller handles an error: the cleanup removes what cannot be removed now.
        let _ = run_blocking(move || self.remove()).await;
    }

    fn remove(self) -> Result<(), FilesError> {
        let (partial_file, quota) = {
            let mut resources = lock(&self.resources);
            (resources.partial_file.take(), resources.quota.take())
        };
        let released =
            quota.map_or(Ok(()), |quota| quota.drop_partial_file().map_err(FilesError::from));
        if let Some(partial_file) = partial_file {
            partial_file.discard();
        }
        released
    }
}

fn transfer_ended() -> io::Error {
    io::Error::other("the transfer has ended")
}

fn lock(resources: &Mutex<StagedResources>) -> MutexGuard<'_, StagedResources> {
    resources.lock()
}
