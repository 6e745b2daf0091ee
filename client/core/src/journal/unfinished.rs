//! The unfinished transfers of this run: how much of each is stored, and its entry in the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tracing::debug;

use quiver_transfer::{ShuttingDown, StoredBytes, blocking};

use super::{EntryLock, Journal, JournalEntry, SingleFile, TransferSubject};

/// Files with more bytes than this get an entry before their content is stored, smaller ones when they are
/// interrupted: a file that takes a moment must not cost a journal entry.
const MIN_JOURNALED_BYTES: u64 = 1024 * 1024;

/// How much of each started transfer of this run is stored, for the last message of the program. Cheap to clone.
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

/// How much of the started transfers is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnfinishedShare {
    /// The share of the only transfer, in per cent, rounded down.
    Percent(u64),
    /// There are several transfers.
    Several,
}

/// The record of a running file transfer. Unless it is [finished](Self::finish), dropping it leaves an entry in the
/// journal if the file has a partial file.
#[derive(Debug)]
pub struct FileRecord {
    journal: Journal,
    unfinished: UnfinishedFiles,
    entry: JournalEntry,
    file: StartedFile,
    is_started: bool,
    lock: Option<EntryLock>,
}

/// The record of a running tree transfer. Once [started](Self::start), and unless it is [finished](Self::finish),
/// dropping it leaves an entry in the journal.
#[derive(Debug)]
pub struct TreeRecord {
    journal: Journal,
    unfinished: UnfinishedFiles,
    entry: JournalEntry,
    /// `None` if the entry was not written yet, could not be written, or another process runs the transfer.
    lock: Option<EntryLock>,
}

impl UnfinishedFiles {
    /// How much can be resumed; `None` if nothing.
    #[must_use]
    pub fn share(&self) -> Option<UnfinishedShare> {
        let all = self.lock();
        if !all.trees.is_empty() {
            return Some(UnfinishedShare::Several);
        }
        let mut resumable = all.files.values().filter(|file| file.bytes.get() > 0);
        let first = resumable.next()?;
        Some(if resumable.next().is_some() {
            UnfinishedShare::Several
        } else {
            UnfinishedShare::Percent(first.percent())
        })
    }

    /// The ids of the entries.
    #[must_use]
    pub fn ids(&self) -> Vec<u64> {
        let all = self.lock();
        all.files.keys().chain(&all.trees).copied().collect()
    }

    fn set(&self, id: u64, file: Option<StartedFile>) {
        match file {
            Some(file) => self.lock().files.insert(id, file),
            None => self.lock().files.remove(&id),
        };
    }

    fn lock(&self) -> MutexGuard<'_, StartedFiles> {
        self.0.lock()
    }
}

impl StartedFile {
    fn percent(&self) -> u64 {
        super::percent(self.bytes.get(), self.size)
    }
}

impl FileRecord {
    /// For a transfer that is about to start, with `stored` bytes in its partial file. Its size is not known yet.
    #[must_use]
    pub fn new(
        journal: &Journal,
        unfinished: &UnfinishedFiles,
        entry: JournalEntry,
        stored: StoredBytes,
    ) -> Self {
        Self {
            journal: journal.clone(),
            unfinished: unfinished.clone(),
            entry,
            file: StartedFile { bytes: stored, size: 0 },
            is_started: false,
            lock: None,
        }
    }

    /// Records the start of the content, of `size` bytes including the stored ones. A failure to write the entry is
    /// ignored: the same command finds the partial file without it.
    pub async fn start(&mut self, size: u64) {
        self.file.size = size;
        if let TransferSubject::File(SingleFile { size: recorded, .. }) = &mut self.entry.subject {
            *recorded = size;
        }
        self.is_started = true;
        self.unfinished.set(self.entry.id(), Some(self.file.clone()));
        if size > MIN_JOURNALED_BYTES && self.lock.is_none() {
            (self.entry, self.lock) = write(&self.journal, self.entry.clone()).await;
        }
    }

    /// The stored share in per cent; `None` if there is nothing to resume.
    #[must_use]
    pub fn percent(&self) -> Option<u64> {
        (self.is_started && self.file.bytes.get() > 0).then(|| self.file.percent())
    }

    /// Removes the entry of a transfer that is finished or has no partial file any more.
    pub fn finish(mut self) {
        // An entry of an earlier run is removed too.
        self.remove_entry();
        self.is_started = false;
        self.unfinished.set(self.entry.id(), None);
    }
}

impl FileRecord {
    fn remove_entry(&mut self) {
        self.journal.remove_finished(self.entry.id(), self.lock.take());
    }
}

impl TreeRecord {
    /// For a planned tree.
    #[must_use]
    pub fn new(journal: &Journal, unfinished: &UnfinishedFiles, entry: JournalEntry) -> Self {
        Self { journal: journal.clone(), unfinished: unfinished.clone(), entry, lock: None }
    }

    /// Writes the entry before the first file is transferred.
    pub async fn start(&mut self) {
        (self.entry, self.lock) = write(&self.journal, self.entry.clone()).await;
        if self.lock.is_some() {
            self.unfinished.lock().trees.insert(self.entry.id());
        }
    }

    /// Whether the entry was written, so that another run can resume the transfer.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.lock.is_some()
    }

    /// Removes the entry of a finished transfer. An entry of an earlier run is removed too.
    pub fn finish(mut self) {
        let id = self.entry.id();
        self.unfinished.lock().trees.remove(&id);
        self.journal.remove_finished(id, self.lock.take());
    }
}

/// Writes an entry, unless another process runs the transfer. An existing entry keeps its start time. A failure to
/// write is ignored: the same command finds the partial files without the entry.
async fn write(journal: &Journal, mut entry: JournalEntry) -> (JournalEntry, Option<EntryLock>) {
    let (journal, unchanged) = (journal.clone(), entry.clone());
    let write = blocking::run(move || {
        if journal.is_running(entry.id()) {
            return (entry, Ok(None));
        }
        if let Some(existing) = journal.find(entry.id()) {
            entry.started = existing.started;
        }
        let result = journal.write(&entry);
        (entry, result.map(Some))
    });
    match write.await {
        Ok((entry, Ok(lock))) => (entry, lock),
        Ok((entry, Err(error))) => {
            debug!(%error, "cannot write a journal entry");
            (entry, None)
        }
        Err(ShuttingDown) => (unchanged, None),
    }
}

impl Drop for FileRecord {
    /// Writes the entry at once and not on another thread: the record is dropped when the program or transfer ends.
    fn drop(&mut self) {
        if !self.is_started {
            return;
        }
        if self.file.bytes.get() == 0 {
            self.remove_entry();
        } else if self.lock.is_none()
            && !self.journal.is_running(self.entry.id())
            && let Err(error) = self.journal.write(&self.entry)
        {
            debug!(%error, "cannot write a journal entry");
        }
    }
}
