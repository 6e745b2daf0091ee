//! What this run has begun and not done: how much of it is here, and its entry in the journal.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task;
use tracing::debug;

use super::{Entry, Journal};

/// Files of more bytes than this have their entry before their content is stored, smaller ones when
/// they break off: what comes within a blink shall not cost a file.
const WORTH_AN_ENTRY: u64 = 1024 * 1024;

/// How much is here of what this run has begun, for its last words. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Unfinished(Arc<Mutex<BTreeMap<u64, Here>>>);

#[derive(Debug, Clone, Default)]
struct Here {
    bytes: Kept,
    size: u64,
}

/// Bytes of a file that are on a disk, for who counts them and who asks. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Kept(Arc<AtomicU64>);

/// How much of something is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Of the only transfer, in per cent, rounded down.
    Of(u64),
    /// There are several.
    Several,
}

/// A transfer that is under way. Dropped before it is [done](Record::done), it leaves its entry.
#[derive(Debug)]
pub struct Record {
    journal: Journal,
    unfinished: Unfinished,
    entry: Entry,
    here: Here,
    is_begun: bool,
    is_written: bool,
}

impl Unfinished {
    /// What there is to go on with.
    #[must_use]
    pub fn share(&self) -> Option<Share> {
        let all = self.lock();
        let mut begun = all.values().filter(|here| here.bytes.get() > 0);
        let first = begun.next()?;
        Some(if begun.next().is_some() { Share::Several } else { Share::Of(first.share()) })
    }

    fn set(&self, id: u64, here: Option<Here>) {
        match here {
            Some(here) => self.lock().insert(id, here),
            None => self.lock().remove(&id),
        };
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Here>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Here {
    fn share(&self) -> u64 {
        crate::output::share(self.bytes.get(), self.size)
    }
}

impl Kept {
    /// So many they are now.
    pub fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// So many more.
    pub fn grow(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Record {
    /// For a transfer that is about to begin, of which `kept` is on a disk. Its size is not known yet.
    #[must_use]
    pub fn new(journal: &Journal, unfinished: &Unfinished, entry: Entry, kept: Kept) -> Self {
        Self {
            journal: journal.clone(),
            unfinished: unfinished.clone(),
            entry,
            here: Here { bytes: kept, size: 0 },
            is_begun: false,
            is_written: false,
        }
    }

    /// Its content comes, `size` bytes with those that are kept. That it cannot be written down costs no more
    /// than that: the same command finds the part without it.
    pub async fn begin(&mut self, size: u64) {
        (self.entry.size, self.here.size) = (size, size);
        self.is_begun = true;
        self.unfinished.set(self.entry.id(), Some(self.here.clone()));
        if size > WORTH_AN_ENTRY && !self.is_written {
            let (journal, mut entry) = (self.journal.clone(), self.entry.clone());
            let write = task::spawn_blocking(move || {
                if let Some(known) = journal.find(entry.id()) {
                    entry.begun = known.begun;
                }
                let result = journal.write(&entry);
                (entry, result)
            });
            match write.await {
                Ok((entry, Ok(()))) => (self.entry, self.is_written) = (entry, true),
                Ok((_, Err(error))) => debug!(%error, "a transfer is not written down"),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // The runtime is going down.
                Err(_) => {}
            }
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
        let _ = self.journal.remove(self.entry.id());
        self.is_begun = false;
        self.unfinished.set(self.entry.id(), None);
    }
}

impl Drop for Record {
    /// A small file's work on the spot: whoever drops this is leaving.
    fn drop(&mut self) {
        if !self.is_begun {
            return;
        }
        let result = if self.here.bytes.get() == 0 {
            self.journal.remove(self.entry.id())
        } else if !self.is_written {
            self.journal.write(&self.entry)
        } else {
            Ok(())
        };
        if let Err(error) = result {
            debug!(%error, "a transfer is not written down");
        }
    }
}
