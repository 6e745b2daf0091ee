//! What this run has begun and not done: how much of it is here, and its entry in the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tracing::debug;

use quiver_transfer::{ShuttingDown, StoredBytes, blocking};

use super::{EntryLock, Journal, JournalEntry, SingleFile, TransferSubject};

/// Files of more bytes than this have their entry before their content is stored, smaller ones when
/// they break off: what comes within a blink shall not cost a file.
const WORTH_AN_ENTRY: u64 = 1024 * 1024;

/// How much is here of what this run has begun, for its last words. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct UnfinishedFiles(Arc<Mutex<StartedFiles>>);

#[derive(Debug, Default)]
struct StartedFiles {
    files: BTreeMap<u64, StartedFile>,
    trees: BTreeSet<u64>,
}

#[derive(Debug, Clone, Default)]
struct StartedFile {
    bytes: StoredBytes,
    size: u64,
}

/// How much of something is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnfinishedShare {
    /// Of the only transfer, in per cent, rounded down.
    Percent(u64),
    /// There are several.
    Several,
}

/// A file that is under way. Dropped before it is [done](Record::done), it leaves its entry.
#[derive(Debug)]
pub struct FileRecord {
    journal: Journal,
    unfinished: UnfinishedFiles,
    entry: JournalEntry,
    here: StartedFile,
    is_begun: bool,
    written: Option<EntryLock>,
}

/// A tree that is under way. Dropped before it is [done](TreeRecord::done), it leaves its entry, if it has
/// [begun](TreeRecord::begin).
#[derive(Debug)]
pub struct TreeRecord {
    journal: Journal,
    unfinished: UnfinishedFiles,
    entry: JournalEntry,
    /// `None` where it was not worth it, could not be written down, or another process is at it.
    written: Option<EntryLock>,
}

impl UnfinishedFiles {
    /// What there is to go on with.
    #[must_use]
    pub fn share(&self) -> Option<UnfinishedShare> {
        let all = self.lock();
        if !all.trees.is_empty() {
            return Some(UnfinishedShare::Several);
        }
        let mut begun = all.files.values().filter(|here| here.bytes.get() > 0);
        let first = begun.next()?;
        Some(if begun.next().is_some() {
            UnfinishedShare::Several
        } else {
            UnfinishedShare::Percent(first.share())
        })
    }

    fn set(&self, id: u64, here: Option<StartedFile>) {
        match here {
            Some(here) => self.lock().files.insert(id, here),
            None => self.lock().files.remove(&id),
        };
    }

    fn lock(&self) -> MutexGuard<'_, StartedFiles> {
        self.0.lock()
    }
}

impl StartedFile {
    fn share(&self) -> u64 {
        super::percent(self.bytes.get(), self.size)
    }
}

impl FileRecord {
    /// For a transfer that is about to begin, of which `kept` is on a disk. Its size is not known yet.
    #[must_use]
    pub fn new(
        journal: &Journal,
        unfinished: &UnfinishedFiles,
        entry: JournalEntry,
        kept: StoredBytes,
    ) -> Self {
        Self {
            journal: journal.clone(),
            unfinished: unfinished.clone(),
            entry,
            here: StartedFile { bytes: kept, size: 0 },
            is_begun: false,
            written: None,
        }
    }

    /// Its content comes, `size` bytes with those that are kept. That it cannot be written down costs no more
    /// than that: the same command finds the part without it.
    pub async fn begin(&mut self, size: u64) {
        self.here.size = size;
        if let TransferSubject::File(SingleFile { size: known, .. }) = &mut self.entry.subject {
            *known = size;
        }
        self.is_begun = true;
        self.unfinished.set(self.entry.id(), Some(self.here.clone()));
        if size > WORTH_AN_ENTRY && self.written.is_none() {
            (self.entry, self.written) = write(&self.journal, self.entry.clone()).await;
        }
    }

    /// How much is here, in per cent; `None` where there is nothing to go on with.
    #[must_use]
    pub fn share(&self) -> Option<u64> {
        (self.is_begun && self.here.bytes.get() > 0).then(|| self.here.share())
    }

    /// It is done, or nothing of it is kept.
    pub fn done(mut self) {
        // What was written by an earlier run goes too.
        self.forget();
        self.is_begun = false;
        self.unfinished.set(self.entry.id(), None);
    }
}

impl FileRecord {
    fn forget(&mut self) {
        self.journal.forget(self.entry.id(), self.written.take());
    }
}

impl TreeRecord {
    /// For a tree that is planned.
    #[must_use]
    pub fn new(journal: &Journal, unfinished: &UnfinishedFiles, entry: JournalEntry) -> Self {
        Self { journal: journal.clone(), unfinished: unfinished.clone(), entry, written: None }
    }

    /// Files of it are about to move.
    pub async fn begin(&mut self) {
        (self.entry, self.written) = write(&self.journal, self.entry.clone()).await;
        if self.written.is_some() {
            self.unfinished.lock().trees.insert(self.entry.id());
        }
    }

    /// Whether another run can go on with it.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.written.is_some()
    }

    /// All of it was dealt with. What was written by an earlier run goes too.
    pub fn done(mut self) {
        let id = self.entry.id();
        self.unfinished.lock().trees.remove(&id);
        self.journal.forget(id, self.written.take());
    }
}

/// Writes an entry, unless some other process is at it; one that was known keeps its beginning. That it cannot
/// be written down costs no more than that: the same command finds what is there without it.
async fn write(journal: &Journal, mut entry: JournalEntry) -> (JournalEntry, Option<EntryLock>) {
    let (journal, unchanged) = (journal.clone(), entry.clone());
    let write = blocking::run(move || {
        if journal.is_at_it(entry.id()) {
            return (entry, Ok(None));
        }
        if let Some(known) = journal.find(entry.id()) {
            entry.started = known.started;
        }
        let result = journal.write(&entry);
        (entry, result.map(Some))
    });
    match write.await {
        Ok((entry, Ok(written))) => (entry, written),
        Ok((entry, Err(error))) => {
            debug!(%error, "a transfer is not written down");
            (entry, None)
        }
        Err(ShuttingDown) => (unchanged, None),
    }
}

impl Drop for FileRecord {
    /// A small file's work on the spot: whoever drops this is leaving.
    fn drop(&mut self) {
        if !self.is_begun {
            return;
        }
        if self.here.bytes.get() == 0 {
            self.forget();
        } else if self.written.is_none()
            && !self.journal.is_at_it(self.entry.id())
            && let Err(error) = self.journal.write(&self.entry)
        {
            debug!(%error, "a transfer is not written down");
        }
    }
}
