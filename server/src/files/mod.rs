//! The served folder, with uploads if configured. Nothing outside it can be named: every path is
//! opened from one open directory, and no link is followed. No other module of this crate handles
//! paths in it. Its files are opened and listed by [`quiver_transfer::served_folder`].
//!
//! | module | content |
//! |---|---|
//! | `root` | the open handle of the served folder |
//! | `parent` | opens the folder that contains a path, for a change |
//! | `store` | uploads: partial file, quota, final name |
//! | `space` | free space, and reservations of it |
//! | `error` | why a file or folder is not served or changed |
//! | `change` | remove, make a folder |
//! | `rename` | rename, also to another disk |
//! | `tree_copy` | a verified copy of a file or folder on another disk |
//! | `path_locks` | locks on paths: a name and its quota row change together |
//! | `attribute_log` | logs times and permissions that the file system refuses |
//! | `count` | how many files there are, for people |
//! | `cleanup` | removes old partial files, corrects quota rows |

mod attribute_log;
mod change;
mod cleanup;
mod count;
mod error;
mod parent;
mod path_locks;
mod rename;
mod root;
mod space;
mod store;
mod tree_copy;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cap_std::fs::Dir;
use quiver_protocol::reply::AvailableSpace;
use quiver_protocol::{FilePath, FolderPath, PutRequest, Timestamp};
use quiver_transfer::served_folder::{self, FolderListing};
use quiver_transfer::{DiskPool, HashedPrefix, Lane, SMALL, Source};
use quiver_transport::buffer_budget::BufferReservation;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub use self::cleanup::SweepSummary;
pub use self::count::FileCount;
use self::count::{CountLimits, count_files};
pub use self::error::FilesError;
pub use self::store::{LockedPolicy, PartialFileSink, StagedFile, StoreLimits};

use self::parent::open_existing;
use self::rename::Rename;
use self::root::RootFolder;
pub use self::space::UnreservedSpace;
use self::store::UploadStore;
use crate::config::{MAX_MOVES, MAX_SPOOL_SIZE, MAX_SPOOLS};
use crate::quota_db::{Owner, QuotaDb, ResumableUploads};
use crate::upload_locks::LockOwner;

/// How often the path of the served folder is checked.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(2);

/// The served folder.
#[derive(Debug)]
pub struct Files {
    root: Arc<RootFolder>,
    /// One permit for each temporary file with content of unknown size.
    spools: Arc<Semaphore>,
    /// Limits the moves to other disks.
    moves: Arc<Semaphore>,
    /// The threads that open files and store small ones.
    disk_pool: DiskPool,
    /// Absent if the server does not allow uploads.
    store: Option<Arc<UploadStore>>,
}

impl Files {
    /// Opens the folder at `path` read-only: without uploads or changes.
    ///
    /// # Errors
    /// The error of the system call.
    pub fn open_root(path: &Path) -> io::Result<Self> {
        Ok(Self {
            root: Arc::new(RootFolder::open(path)?),
            spools: Arc::new(Semaphore::new(MAX_SPOOLS)),
            moves: Arc::new(Semaphore::new(MAX_MOVES)),
            disk_pool: DiskPool::default(),
            store: None,
        })
    }

    /// Allows uploads and changes; `quota_db` records the owners of stored files.
    #[must_use]
    pub fn with_store(mut self, quota_db: QuotaDb, limits: StoreLimits) -> Self {
        self.store = Some(Arc::new(UploadStore::new(quota_db, limits)));
        self
    }

    /// The folder that is served now.
    #[must_use]
    pub fn root(&self) -> Arc<Dir> {
        self.root.current()
    }

    /// Serves another folder once it appears at the path that the root was opened at, if `check`
    /// accepts it. Checks at start, then every `FOLLOW_INTERVAL`. Never returns.
    pub async fn follow_path(
        &self,
        check: impl Fn(&Dir) -> anyhow::Result<()> + Send + Sync + 'static,
    ) {
        let check = Arc::new(check);
        let mut ticks = tokio::time::interval(FOLLOW_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let (root, check) = (self.root.clone(), check.clone());
            // Fails only while the runtime shuts down.
            let _ = run_blocking(move || {
                root.follow_path(&*check);
                Ok(())
            })
            .await;
        }
    }

    /// Waits until the served folder is replaced by another one, if it was not since the last call.
    pub async fn root_replaced(&self) {
        self.root.wait_for_replacement().await;
    }

    /// Counts the served files, up to so many names and for so long.
    ///
    /// # Errors
    /// The runtime shuts down.
    pub async fn count(&self, names: usize, time: Duration) -> Result<FileCount, FilesError> {
        let root = self.root();
        run_blocking(move || Ok(count_files(&root, CountLimits { names, time }))).await
    }

    /// Whether the server allows uploads and changes.
    #[must_use]
    pub fn accepts_uploads(&self) -> bool {
        self.store.is_some()
    }

    /// The interrupted uploads that can be resumed; `None` if the server does not allow uploads.
    #[must_use]
    pub fn resumable_uploads(&self) -> Option<ResumableUploads> {
        self.store.as_ref().map(|store| store.quota_db().resumable_uploads())
    }

    /// Opens a regular file; its size is fixed from then on, unless its file system does not tell
    /// it. A small file is also read.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn open(&self, path: &FilePath) -> Result<Source, FilesError> {
        let (root, path) = (self.root.current(), path.clone());
        self.run_on_pool(move || Ok(served_folder::open_file(&root, &path)?)).await
    }

    /// Starts to list a folder, with `memory` for its names: more memory means that a large folder
    /// is read fewer times. The work runs in `lane`.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn list(
        &self,
        folder: &FolderPath,
        lane: Lane,
        memory: BufferReservation,
    ) -> Result<FolderListing<BufferReservation>, FilesError> {
        let (root, path, listed_as) = (self.root.current(), folder.clone(), folder.clone());
        Ok(FolderListing::start(root, path, listed_as, lane, memory).await?)
    }

    /// Copies a source of unknown size into a temporary file without a name, to get its size. The
    /// returned permit limits such files: it must be held as long as the source.
    ///
    /// # Errors
    /// [`FilesError`]: the source is too large, or there are too many such files.
    pub async fn spool(
        &self,
        source: Source,
    ) -> Result<(Source, OwnedSemaphorePermit), FilesError> {
        let permit =
            self.spools.clone().try_acquire_owned().map_err(|_| FilesError::TooManySpools)?;
        let spooled = run_blocking(move || {
            let spool = tempfile::tempfile().map_err(FilesError::SpoolFailed)?;
            source.copy_to_file(spool, MAX_SPOOL_SIZE).map_err(FilesError::SpoolFailed)
        });
        let source =
            spooled.await?.ok_or(FilesError::UnknownSizeTooLarge { limit: MAX_SPOOL_SIZE })?;
        Ok((source, permit))
    }

    /// Checks that an upload is allowed and fits, reserves its space and quota, and opens its
    /// partial file. If that is resumable, it is locked for `lock_owner`. `None` if another upload
    /// has it, and `locked_policy` is to wait.
    ///
    /// # Errors
    /// [`FilesError`]; then nothing is reserved.
    pub async fn stage(
        &self,
        request: &PutRequest,
        owner: Owner,
        lock_owner: Option<LockOwner>,
        locked_policy: LockedPolicy,
    ) -> Result<Option<StagedFile>, FilesError> {
        let (root, store, request) = (self.root.clone(), self.upload_store()?, request.clone());
        let disk_pool = self.disk_pool.clone();
        self.run_on_pool(move || {
            store::stage(root, store, request, owner, lock_owner, locked_policy, disk_pool)
        })
        .await
    }

    /// The upload that has locked the partial file which this request would resume. `None` for a
    /// small file, which is written in one step.
    #[must_use]
    pub fn lock_owner(&self, request: &PutRequest, owner: &Owner) -> Option<LockOwner> {
        self.store.as_ref().filter(|_| request.size > Some(SMALL))?.lock_owner(request, owner)
    }

    /// Reads and hashes the partial file that an owner's upload to this path would resume; empty if
    /// there is none. Takes as long as reading it does, and runs in `lane`. An upload may resume
    /// the partial file meanwhile.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn hash_resumable(
        &self,
        path: &FilePath,
        owner: Owner,
        lane: &Lane,
    ) -> Result<HashedPrefix, FilesError> {
        let (root, store, path) = (self.root.current(), self.upload_store()?, path.clone());
        let opened = run_blocking(move || store.open_resumable(&root, &path, &owner));
        let Some(content) = opened.await? else {
            return Ok(HashedPrefix::empty());
        };
        let length = content.metadata().map_err(FilesError::Disk)?.len();
        let hashed = HashedPrefix::hash_file_in_lane(&content, length, lane).await;
        // `None` if the partial file has become shorter: a new upload has started over.
        Ok(hashed.map_err(FilesError::Disk)?.unwrap_or_default())
    }

    /// How many bytes an owner can store in a folder now. If it does not exist, the nearest folder
    /// above it counts.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn space(
        &self,
        path: FolderPath,
        owner: Owner,
    ) -> Result<AvailableSpace, FilesError> {
        let (root, store) = (self.root.current(), self.upload_store()?);
        run_blocking(move || store.space(&open_existing(&root, &path)?, &owner)).await
    }

    /// The space of the top folder's disk.
    ///
    /// # Errors
    /// [`FilesError`].
    pub fn disk_space(&self) -> Result<UnreservedSpace, FilesError> {
        let store = self.upload_store()?;
        store.free_space().unreserved(&self.root.current()).map_err(FilesError::Disk)
    }

    /// Removes a file or an empty folder.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn remove(&self, path: &FilePath) -> Result<(), FilesError> {
        let (root, store, path) = (self.root.current(), self.upload_store()?, path.clone());
        run_blocking(move || change::remove(&root, &store, &path)).await
    }

    /// Renames a file or a folder, atomically. With `replace`, a file may replace a file. A move to
    /// another disk copies first: [`MAX_MOVES`] at once, and only while the caller waits.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn rename(
        &self,
        path: &FilePath,
        to: &FilePath,
        replace: bool,
    ) -> Result<(), FilesError> {
        let (root, store) = (self.root.current(), self.upload_store()?);
        let rename = Rename { root, store, path: path.clone(), to: to.clone(), replace };
        let in_place = rename.clone();
        match run_blocking(move || in_place.rename_in_place()).await {
            Err(FilesError::OtherDisk) => {}
            renamed => return renamed,
        }
        let permit = self.moves.clone().acquire_owned().await;
        let cancelled = CancellationToken::new();
        // Dropped with this future, when the client leaves.
        let _waits = cancelled.clone().drop_guard();
        run_blocking(move || {
            let _permit = permit;
            rename.move_to_other_disk(&|| cancelled.is_cancelled())
        })
        .await
    }

    /// Creates a folder and its missing parents; returns whether the folder itself was created.
    /// Each created folder counts against the owner's quota. `modified` becomes the folder's
    /// modification time.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn make_folder(
        &self,
        path: &FilePath,
        modified: Option<Timestamp>,
        owner: Owner,
    ) -> Result<bool, FilesError> {
        let (root, store, path) = (self.root.current(), self.upload_store()?, path.clone());
        run_blocking(move || change::make_folder(&root, &store, &path, modified, &owner)).await
    }

    /// Settles the renames and replacements that a killed process had recorded. Blocks. Call it
    /// before clients connect.
    ///
    /// # Errors
    /// [`FilesError`].
    pub fn settle_unfinished(&self) -> Result<(), FilesError> {
        cleanup::settle_unfinished(&self.root.current(), &*self.upload_store()?)
    }

    /// Removes old partial files, and corrects the rows of the quota database that do not match the
    /// stored files.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn sweep(&self, now: SystemTime) -> Result<SweepSummary, FilesError> {
        let (root_folder, store) = (self.root.clone(), self.upload_store()?);
        run_blocking(move || {
            let root = root_folder.current();
            cleanup::sweep(&root, &store, now, &|| root_folder.is_current(&root))
        })
        .await
    }

    /// Runs work that does not keep a disk busy for long.
    async fn run_on_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, FilesError> + Send + 'static,
    ) -> Result<T, FilesError> {
        let stopped = |error| Err(FilesError::Disk(io::Error::other(error)));
        self.disk_pool.run(work).await.unwrap_or_else(stopped)
    }

    fn upload_store(&self) -> Result<Arc<UploadStore>, FilesError> {
        self.store.clone().ok_or(FilesError::UploadsDisabled)
    }
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FilesError> + Send + 'static,
) -> Result<T, FilesError> {
    quiver_transfer::blocking::run(work).await.map_err(|ending| FilesError::Disk(ending.into()))?
}

#[cfg(test)]
mod tests;
