//! The folder whose files clients may have, and where those may put some who are allowed to. Nothing
//! outside it can be named: every path is opened from one open directory, and no link is
//! followed. Nobody else in this crate knows paths on disk.
//!
//! | module | what it holds |
//! |---|---|
//! | `root` | the served folder itself |
//! | `walk` | the way to a folder |
//! | `open`, `list` | what can be read |
//! | `store` | a file that comes: its part, its place, its room |
//! | `space` | what the disk has room for |
//! | `error` | why something is not served, or not changed |
//! | `change` | remove, rename, make a folder |
//! | `names` | locks on paths: a name and its quota row change together |
//! | `unset` | times and permissions that the file system refuses |
//! | `cleanup` | old partial files, and what was changed by others |

mod change;
mod cleanup;
mod error;
mod list;
mod names;
mod open;
mod root;
mod space;
mod store;
mod unset;
mod walk;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cap_std::fs::Dir;
use quiver_protocol::reply::AvailableSpace;
use quiver_protocol::{FilePath, PutRequest, Timestamp};
use quiver_transfer::{DiskPool, Lane};
use quiver_transfer::{HashedPrefix, SMALL, Source};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::MissedTickBehavior;

pub use self::cleanup::SweepSummary;
pub use self::error::FilesError;
pub use self::list::FolderListing;
pub use self::store::{IfLocked, PartialFileSink, StagedFile, StoreLimits};

use self::root::RootFolder;
use self::store::UploadStore;
use crate::config::{SPOOL, SPOOLS};
use crate::quota_db::{KeptUploads, Owner, QuotaDb};
use crate::upload_locks::LockOwner;

/// How often the path of the served folder is looked at.
const FOLLOW_EVERY: Duration = Duration::from_secs(2);

/// A rooted directory.
#[derive(Debug)]
pub struct Files {
    root: Arc<RootFolder>,
    /// A permit for each temporary file with content of unknown length.
    spools: Arc<Semaphore>,
    /// Who opens files: many are small, and over at once.
    disk_pool: DiskPool,
    /// What it takes to change anything; absent where nobody may.
    store: Option<Arc<UploadStore>>,
}

impl Files {
    /// Opens the folder at `path`, from which files can be had and nothing can be changed.
    ///
    /// # Errors
    /// What the system says.
    pub fn open_root(path: &Path) -> io::Result<Self> {
        Ok(Self {
            root: Arc::new(RootFolder::open(path)?),
            spools: Arc::new(Semaphore::new(SPOOLS)),
            disk_pool: DiskPool::default(),
            store: None,
        })
    }

    /// The same folder, in which files can be stored too; `quota_db` remembers whose they are.
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

    /// Serves another folder once one is at the path that the root was opened at, if `check` agrees. Runs at start,
    /// then every `FOLLOW_EVERY`. Never returns.
    pub async fn follow_path(
        &self,
        check: impl Fn(&Dir) -> anyhow::Result<()> + Send + Sync + 'static,
    ) {
        let check = Arc::new(check);
        let mut times = tokio::time::interval(FOLLOW_EVERY);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            times.tick().await;
            let (root, check) = (self.root.clone(), check.clone());
            // Fails only where the runtime is going down.
            let _ = blocking(move || {
                root.follow_path(&*check);
                Ok(())
            })
            .await;
        }
    }

    /// Waits until another folder is served than at the last call.
    pub async fn replaced(&self) {
        self.root.replaced().await;
    }

    /// Whether anything can be changed here.
    #[must_use]
    pub fn takes_files(&self) -> bool {
        self.store.is_some()
    }

    /// What waits for its next attempt; `None` where no files are taken.
    #[must_use]
    pub fn kept_parts(&self) -> Option<KeptUploads> {
        self.store.as_ref().map(|store| store.quota_db().kept())
    }

    /// Opens a regular file; its length is fixed from here on, unless its file system does not tell it. A small
    /// one is read at once.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn open(&self, path: &FilePath) -> Result<Source, FilesError> {
        let (root, path) = (self.root.current(), path.clone());
        self.small(move || open::open(&root, &path)?.load().map_err(FilesError::Disk)).await
    }

    /// Gives a source of unknown length one: what it holds is copied into a temporary file without a name, which
    /// counts for as long as the second value is held.
    ///
    /// # Errors
    /// [`FilesError`]: it is too large for that, or too many are held.
    pub async fn spool(
        &self,
        source: Source,
    ) -> Result<(Source, OwnedSemaphorePermit), FilesError> {
        let permit = self.spools.clone().try_acquire_owned().map_err(|_| FilesError::Spools)?;
        let spooled = blocking(move || {
            let spool = tempfile::tempfile().map_err(FilesError::Spool)?;
            source.copy_to_file(spool, SPOOL).map_err(FilesError::Spool)
        });
        let source = spooled.await?.ok_or(FilesError::NoLength { limit: SPOOL })?;
        Ok((source, permit))
    }

    /// Makes sure that a file may come and will fit, and opens its part. `by` can be asked to let go of that,
    /// where the owner can go on with it another time. `None` where another put has it, and is to be waited for.
    ///
    /// # Errors
    /// [`FilesError`]; nothing is then reserved, and no name is taken.
    pub async fn stage(
        &self,
        put: &PutRequest,
        owner: Owner,
        by: Option<LockOwner>,
        if_locked: IfLocked,
    ) -> Result<Option<StagedFile>, FilesError> {
        let (root, store, put) = (self.root.clone(), self.store()?, put.clone());
        let disk_pool = self.disk_pool.clone();
        self.small(move || store::stage(root, store, put, owner, by, if_locked, disk_pool)).await
    }

    /// Who has the part that an owner's put would go on with. Nobody has one of a small file: there is nothing
    /// in it before the file is whole.
    #[must_use]
    pub fn lock_owner(&self, put: &PutRequest, owner: &Owner) -> Option<LockOwner> {
        self.store.as_ref().filter(|_| put.size > Some(SMALL))?.lock_owner(put, owner)
    }

    /// What was kept of an owner's put to a path, read and hashed: nothing, where there is none. Takes as long as
    /// reading it does, in `lane`; nothing keeps a put from going on with it meanwhile.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn kept(
        &self,
        path: &FilePath,
        owner: Owner,
        lane: &Lane,
    ) -> Result<HashedPrefix, FilesError> {
        let (root, store, path) = (self.root.current(), self.store()?, path.clone());
        let Some(part) = blocking(move || store.kept(&root, &path, &owner)).await? else {
            return Ok(HashedPrefix::empty());
        };
        let length = part.metadata().map_err(FilesError::Disk)?.len();
        let hashed =
            HashedPrefix::hash_file_in_lane(&part, length, lane).await.map_err(FilesError::Disk)?;
        // It has become shorter: it begins anew.
        Ok(hashed.unwrap_or_default())
    }

    /// What of an owner's would fit now.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn space(&self, owner: Owner) -> Result<AvailableSpace, FilesError> {
        let (root, store) = (self.root.current(), self.store()?);
        blocking(move || store.space(&root, &owner)).await
    }

    /// Removes a file, or a folder with nothing in it.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn remove(&self, path: &FilePath) -> Result<(), FilesError> {
        let (root, store, path) = (self.root.current(), self.store()?, path.clone());
        blocking(move || change::remove(&root, &store, &path)).await
    }

    /// Gives a file or a folder another path, in one step. Only a file gives way, where `replace` says so.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn rename(
        &self,
        path: &FilePath,
        to: &FilePath,
        replace: bool,
    ) -> Result<(), FilesError> {
        let (root, store) = (self.root.current(), self.store()?);
        let (path, to) = (path.clone(), to.clone());
        blocking(move || change::rename(&root, &store, &path, &to, replace)).await
    }

    /// Makes a folder and those it lies in; whether it was not there before. Each that is made counts against the
    /// owner's quota. With a time, that is when it was last changed from then on.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn make_folder(
        &self,
        path: &FilePath,
        modified: Option<Timestamp>,
        owner: Owner,
    ) -> Result<bool, FilesError> {
        let (root, store, path) = (self.root.current(), self.store()?, path.clone());
        blocking(move || change::make_folder(&root, &store, &path, modified, &owner)).await
    }

    /// Settles the quota rows of what a killed process had begun to rename or replace. Blocks; runs before clients
    /// connect.
    ///
    /// # Errors
    /// [`FilesError`].
    pub fn settle_unfinished(&self) -> Result<(), FilesError> {
        cleanup::settle_unfinished(&self.root.current(), &*self.store()?)
    }

    /// Removes parts that nobody came back for, and brings the quota database in line with what is there now.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn sweep(&self, now: SystemTime) -> Result<SweepSummary, FilesError> {
        let (served, store) = (self.root.clone(), self.store()?);
        blocking(move || {
            let root = served.current();
            cleanup::sweep(&root, &store, now, &|| served.serves(&root))
        })
        .await
    }

    /// Work that does not keep a disk busy for long.
    async fn small<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, FilesError> + Send + 'static,
    ) -> Result<T, FilesError> {
        let ending = |error| Err(FilesError::Disk(io::Error::other(error)));
        self.disk_pool.run(work).await.unwrap_or_else(ending)
    }

    fn store(&self) -> Result<Arc<UploadStore>, FilesError> {
        self.store.clone().ok_or(FilesError::NoUploads)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FilesError> + Send + 'static,
) -> Result<T, FilesError> {
    quiver_transfer::blocking::run(work).await.map_err(|ending| FilesError::Disk(ending.into()))?
}

#[cfg(test)]
mod tests;
