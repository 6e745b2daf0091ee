//! Content that browsers hand over, each drop in a private folder of this run: `SPOOL/RUN/NUMBER/files`. It stays until
//! the transfer or offer that uses it has ended, it is discarded, or nobody has used it for a while. Speaks no HTTP.

mod drop_folder;
mod kept;
mod quota;
mod run_folder;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quiver_client::folders::{FolderError, Folders};
use quiver_client::peer_store::OfferNumber;
use quiver_client::transfers::TransferId;
use quiver_transfer::blocking;
use quiver_transfer::file_system::free_space;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

pub(crate) use self::drop_folder::SpooledFile;
use self::drop_folder::{DropFolder, RemovedDrop};
use self::kept::KeptDrop;
use self::quota::{SpoolCost, SpoolQuota};
use self::run_folder::RunFolder;
use quiver_control::Failure;

/// Drops that exist at once.
const MAX_DROPS: usize = 64;

/// How long a drop may be unused before a request has named it: its tab was closed.
const IDLE_LIMIT: Duration = Duration::from_secs(600);

/// How often unused drops are looked for.
const IDLE_INTERVAL: Duration = Duration::from_secs(60);

/// The spool of this process.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: Result<PathBuf, FolderError>,
    /// `None` before the first drop.
    run: Mutex<Option<Arc<RunFolder>>>,
    quota: Arc<Mutex<SpoolQuota>>,
    drops: Mutex<DropTable>,
    removals: mpsc::UnboundedSender<RemovedDrop>,
    /// Taken by [`maintain`](Self::maintain).
    removed: Mutex<Option<mpsc::UnboundedReceiver<RemovedDrop>>>,
}

/// The id of a drop, which its page has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DropId(u64);

/// What uses a drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropUse {
    /// Its page hands over files.
    Open,
    /// A transfer or an offer is being made of it.
    Starting,
    /// This transfer, which may have failed.
    Transfer(TransferId),
    /// This offer.
    Offer(OfferNumber),
}

/// What has become of the transfer of a drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropFate {
    /// It runs, or can be repeated.
    Needed,
    /// It has ended.
    Over,
}

/// Why content cannot be handed over, or used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    /// It does not fit.
    #[error("there is no space left for dropped content")]
    Full,
    /// There are too many files in the drop, or too many drops.
    #[error("too many files at once")]
    TooMany,
    /// The drop is in use already.
    #[error("this content is in use already")]
    InUse,
    /// There is no such drop, or not any more.
    #[error("this content is not there any more")]
    Unknown,
    /// The drop has a file of that path, or a file where a folder is needed.
    #[error("two files have the same path")]
    Duplicate,
    /// There is no folder for it.
    #[error(transparent)]
    NoFolder(FolderError),
    /// The disk.
    #[error("cannot keep dropped content: {0}")]
    Disk(io::Error),
}

/// The content of a drop that a transfer or an offer is being made of. Dropping this undoes that.
#[derive(Debug)]
pub(crate) struct DropLease {
    spool: Arc<Spool>,
    id: DropId,
    folder: Arc<DropFolder>,
    before: Option<DropUse>,
    /// Its files and folders at the top, by name.
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Default)]
struct DropTable {
    drops: BTreeMap<DropId, SpooledDrop>,
    last_number: u64,
    /// Drops of runs that have ended, for offers that are not settled.
    kept: Vec<KeptDrop>,
}

#[derive(Debug)]
struct SpooledDrop {
    folder: Arc<DropFolder>,
    use_: DropUse,
}

impl DropId {
    /// Reads an id: 16 hex digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_valid = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(text, 16).ok().filter(|_| is_valid).map(Self)
    }
}

impl Spool {
    /// A spool of at most `limit` bytes. Creates no folder yet.
    pub(crate) fn new(folders: &Folders, limit: u64) -> Self {
        let (removals, removed) = mpsc::unbounded_channel();
        Self {
            folder: folders.cache().map(|cache| cache.join("spool")).map_err(Clone::clone),
            run: Mutex::default(),
            quota: Arc::new(Mutex::new(SpoolQuota::new(limit))),
            drops: Mutex::default(),
            removals,
            removed: Mutex::new(Some(removed)),
        }
    }

    /// Starts to receive a file of a drop, which is new or open. Blocks.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub(crate) fn start_file(&self, id: DropId, size: u64) -> Result<SpooledFile, SpoolError> {
        let run = self.run()?;
        let opened = fs::File::open(run.path()).and_then(free_space);
        let (free, cost) = (opened.map_err(SpoolError::from)?, SpoolCost::of_file(size));
        let mut table = self.drops.lock();
        let folder = match table.drops.get(&id) {
            Some(SpooledDrop { folder, use_: DropUse::Open }) => folder.clone(),
            Some(_) => return Err(SpoolError::InUse),
            None if table.drops.len() >= MAX_DROPS => return Err(SpoolError::TooMany),
            None => {
                table.last_number += 1;
                let path = run.path().join(table.last_number.to_string());
                let folder = DropFolder::new(path, self.quota.clone(), self.removals.clone());
                Arc::new(folder)
            }
        };
        if !self.quota.lock().reserve(cost, free) {
            return Err(SpoolError::Full);
        }
        let Some(file) = folder.start_file(cost) else {
            self.quota.lock().cancel(cost);
            return Err(SpoolError::TooMany);
        };
        table.drops.entry(id).or_insert(SpooledDrop { folder, use_: DropUse::Open });
        Ok(file)
    }

    /// The folder of this run, which the first call creates.
    fn run(&self) -> Result<Arc<RunFolder>, SpoolError> {
        let mut run = self.run.lock();
        if let Some(run) = &*run {
            return Ok(run.clone());
        }
        let spool = self.folder.as_ref().map_err(|error| SpoolError::NoFolder(error.clone()))?;
        let created = Arc::new(RunFolder::create(spool)?);
        *run = Some(created.clone());
        Ok(created)
    }

    /// Takes the content of a drop for a transfer or an offer: of one that is open, or whose transfer has failed.
    /// Blocks.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub(crate) fn lease(self: &Arc<Self>, id: DropId) -> Result<DropLease, SpoolError> {
        let mut table = self.drops.lock();
        let found = table.drops.get_mut(&id).ok_or(SpoolError::Unknown)?;
        let is_free = matches!(found.use_, DropUse::Open | DropUse::Transfer(_));
        if !is_free || found.folder.is_receiving() {
            return Err(SpoolError::InUse);
        }
        let before = Some(std::mem::replace(&mut found.use_, DropUse::Starting));
        let folder = found.folder.clone();
        drop(table);
        let mut lease = DropLease { spool: self.clone(), id, folder, before, paths: Vec::new() };
        let entries = fs::read_dir(lease.folder.files())?;
        let paths: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
        lease.paths = paths?;
        lease.paths.sort();
        if lease.paths.is_empty() { Err(SpoolError::Unknown) } else { Ok(lease) }
    }

    /// Discards a drop that no transfer or offer uses. Succeeds if there is none.
    ///
    /// # Errors
    /// [`SpoolError::InUse`].
    pub(crate) fn discard(&self, id: DropId) -> Result<(), SpoolError> {
        let mut table = self.drops.lock();
        match table.drops.get(&id) {
            None => Ok(()),
            Some(SpooledDrop { use_: DropUse::Open, folder }) => {
                folder.discard();
                table.drops.remove(&id);
                Ok(())
            }
            Some(_) => Err(SpoolError::InUse),
        }
    }

    /// Removes the drops whose transfers are over.
    pub(crate) fn settle_transfers(&self, fate: impl Fn(TransferId) -> DropFate) {
        self.drops.lock().drops.retain(|_, dropped| match dropped.use_ {
            DropUse::Transfer(id) => fate(id) == DropFate::Needed,
            DropUse::Open | DropUse::Starting | DropUse::Offer(_) => true,
        });
    }

    /// Removes the drops whose offers are settled.
    pub(crate) fn settle_offers(&self, settled: &BTreeSet<OfferNumber>) {
        let mut table = self.drops.lock();
        table.drops.retain(|_, dropped| match dropped.use_ {
            DropUse::Offer(number) => !settled.contains(&number),
            DropUse::Open | DropUse::Starting | DropUse::Transfer(_) => true,
        });
        let (over, needed) = std::mem::take(&mut table.kept)
            .into_iter()
            .partition(|kept: &KeptDrop| kept.offers.is_subset(settled));
        table.kept = needed;
        for KeptDrop { path, cost, .. } in over {
            // Fails if the process ends; the next run looks at it again.
            let _ = self.removals.send(RemovedDrop { path, cost });
        }
    }

    /// Removes what earlier runs have left, and then the drops that nothing uses any more, until it is aborted.
    pub(crate) async fn maintain(self: Arc<Self>, folders: Folders) {
        let Some(mut removed) = self.removed.lock().take() else { return };
        let Ok(spool) = self.folder.clone() else { return };
        // Fails if the process ends.
        if let Ok(kept) = blocking::run(move || kept::sweep(&spool, &folders)).await {
            self.add_kept(kept);
        }
        let mut ticks = interval(IDLE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let dropped = tokio::select! {
                dropped = removed.recv() => dropped,
                _ = ticks.tick() => {
                    self.remove_idle(Instant::now());
                    continue;
                }
            };
            let Some(RemovedDrop { path, cost }) = dropped else { return };
            // Without success, the next run tries again.
            let _ = blocking::run_io(move || run_folder::remove_drop(&path)).await;
            self.quota.lock().release(cost);
        }
    }

    fn add_kept(&self, kept: Vec<KeptDrop>) {
        let mut table = self.drops.lock();
        for dropped in &kept {
            self.quota.lock().add_stored(dropped.cost);
        }
        table.kept = kept;
    }

    fn remove_idle(&self, now: Instant) {
        let is_idle = |dropped: &SpooledDrop| {
            let since = dropped.folder.idle_since();
            dropped.use_ == DropUse::Open && since.is_some_and(|since| now > since + IDLE_LIMIT)
        };
        self.drops.lock().drops.retain(|_, dropped| !is_idle(dropped));
    }

    /// Removes everything but the drops of offers, as the process ends. Blocks.
    pub(crate) fn close(&self) {
        let Some(run) = self.run.lock().take() else { return };
        let drops = std::mem::take(&mut self.drops.lock().drops);
        let offered: BTreeSet<PathBuf> = drops
            .into_values()
            .filter(|dropped| matches!(dropped.use_, DropUse::Offer(_)))
            .map(|dropped| {
                dropped.folder.keep();
                dropped.folder.path().to_owned()
            })
            .collect();
        run.remove_all_but(|path| offered.contains(path));
    }
}

impl DropLease {
    /// Records what uses the content.
    pub(crate) fn set_use(mut self, used_by: DropUse) {
        self.restore(used_by);
    }

    /// Flushes the content to the disk: an offer of it may outlive the process, and a loss of power. Blocks.
    ///
    /// # Errors
    /// [`SpoolError::Disk`].
    pub(crate) fn flush(&self) -> Result<(), SpoolError> {
        let folder = fs::File::open(self.folder.files())?;
        Ok(rustix::fs::syncfs(&folder).map_err(io::Error::from)?)
    }

    fn restore(&mut self, used_by: DropUse) {
        self.before = None;
        if let Some(dropped) = self.spool.drops.lock().drops.get_mut(&self.id) {
            dropped.use_ = used_by;
        }
    }
}

impl Drop for DropLease {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            self.restore(before);
        }
    }
}

impl From<io::Error> for SpoolError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => Self::Duplicate,
            _ => Self::Disk(error),
        }
    }
}

impl From<SpoolError> for Failure {
    fn from(error: SpoolError) -> Self {
        let code = match error {
            SpoolError::Full | SpoolError::TooMany => "quota",
            SpoolError::InUse => "invalid_request",
            SpoolError::Unknown => "not_found",
            SpoolError::Duplicate => "exists",
            SpoolError::NoFolder(_) | SpoolError::Disk(_) => "local_disk",
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests;
