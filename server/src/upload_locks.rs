//! Which upload has locked which partial file, so that a client whose connection was lost can
//! resume on a new one before the server notices the loss. Knows no disks, and does not check
//! whether a connection is alive.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::registry::ConnectionId;

/// The partial files that running uploads have locked.
#[derive(Debug, Clone, Default)]
pub struct UploadLocks(Arc<Mutex<LocksState>>);

#[derive(Debug, Default)]
struct LocksState {
    last_number: u64,
    /// By the partial file's id. Short locks, never across an await.
    locks: HashMap<u64, LockEntry>,
}

#[derive(Debug)]
struct LockEntry {
    /// The lock's own number.
    number: u64,
    owner: LockOwner,
    is_obsolete: bool,
}

/// An upload that has locked a partial file.
#[derive(Debug, Clone)]
pub struct LockOwner {
    /// The connection that it uses.
    pub connection: ConnectionId,
    /// Cancel it to end the upload, unless all its content was received.
    pub cancel: CancellationToken,
    /// Cancelled once the partial file, its space and its quota are released.
    pub released: CancellationToken,
}

/// The lock of one upload on its partial file. Drop it last, after everything else that the upload
/// holds.
#[derive(Debug)]
pub struct UploadLock {
    locks: UploadLocks,
    partial_file: u64,
    number: u64,
    released: CancellationToken,
}

impl LockOwner {
    /// An upload on this connection.
    #[must_use]
    pub fn new(connection: ConnectionId) -> Self {
        Self { connection, cancel: CancellationToken::new(), released: CancellationToken::new() }
    }
}

impl UploadLocks {
    /// Records that an upload has locked the partial file of this id. No other upload can have it
    /// at the same time.
    #[must_use]
    pub fn lock(&self, partial_file: u64, owner: LockOwner) -> UploadLock {
        let released = owner.released.clone();
        let mut state = self.state();
        state.last_number += 1;
        let number = state.last_number;
        state.locks.insert(partial_file, LockEntry { number, owner, is_obsolete: false });
        drop(state);
        UploadLock { locks: self.clone(), partial_file, number, released }
    }

    /// The upload that has locked the partial file of this id.
    #[must_use]
    pub fn owner(&self, partial_file: u64) -> Option<LockOwner> {
        self.state().locks.get(&partial_file).map(|entry| entry.owner.clone())
    }

    /// Marks a locked partial file as obsolete, because another upload of the same client has
    /// stored the file: no later upload resumes it.
    pub fn mark_obsolete(&self, partial_file: u64) {
        if let Some(entry) = self.state().locks.get_mut(&partial_file) {
            entry.is_obsolete = true;
        }
    }

    fn state(&self) -> MutexGuard<'_, LocksState> {
        self.0.lock()
    }
}

impl UploadLock {
    /// Releases the lock. Returns the partial file's id if it is obsolete, and is to be removed.
    #[must_use]
    pub fn release(self) -> Option<u64> {
        self.remove().then_some(self.partial_file)
    }

    /// Removes the entry; returns whether the partial file is obsolete.
    fn remove(&self) -> bool {
        let mut state = self.locks.state();
        // The partial file itself was unlocked a moment ago: another upload may have locked it
        // already.
        let is_mine =
            state.locks.get(&self.partial_file).is_some_and(|entry| entry.number == self.number);
        let entry = if is_mine { state.locks.remove(&self.partial_file) } else { None };
        entry.is_some_and(|entry| entry.is_obsolete)
    }
}

impl Drop for UploadLock {
    fn drop(&mut self) {
        self.remove();
        self.released.cancel();
    }
}
