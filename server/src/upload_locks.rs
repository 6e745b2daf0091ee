//! Which upload has which partial file: so that a client whose connection was lost can resume by a new one before the
//! server notices the loss. Knows nothing of disks, nor of whether a connection is alive.

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
    last: u64,
    /// By the partial file's number. Short locks, never across an await.
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
    /// Cancel it to end the upload, if its content was not all received.
    pub end: CancellationToken,
    /// Cancelled once the partial file, its space and its quota are released.
    pub released: CancellationToken,
}

/// The lock of one upload on its partial file. To be dropped after everything that the upload holds.
#[derive(Debug)]
pub struct UploadLock {
    locks: UploadLocks,
    part: u64,
    number: u64,
    released: CancellationToken,
}

impl LockOwner {
    /// An upload by this connection.
    #[must_use]
    pub fn new(connection: ConnectionId) -> Self {
        Self { connection, end: CancellationToken::new(), released: CancellationToken::new() }
    }
}

impl UploadLocks {
    /// Notes that an upload has the partial file of this number, which no other can have at the same time.
    #[must_use]
    pub fn lock(&self, part: u64, owner: LockOwner) -> UploadLock {
        let released = owner.released.clone();
        let mut state = self.state();
        state.last += 1;
        let number = state.last;
        state.locks.insert(part, LockEntry { number, owner, is_obsolete: false });
        drop(state);
        UploadLock { locks: self.clone(), part, number, released }
    }

    /// The upload that has the partial file of this number.
    #[must_use]
    pub fn owner(&self, part: u64) -> Option<LockOwner> {
        self.state().locks.get(&part).map(|entry| entry.owner.clone())
    }

    /// The file that this partial file was to become was stored by another upload of the same client: no later
    /// one resumes it.
    pub fn mark_obsolete(&self, part: u64) {
        if let Some(entry) = self.state().locks.get_mut(&part) {
            entry.is_obsolete = true;
        }
    }

    fn state(&self) -> MutexGuard<'_, LocksState> {
        self.0.lock()
    }
}

impl UploadLock {
    /// Releases the lock. The partial file's number, if no upload resumes it.
    #[must_use]
    pub fn release(self) -> Option<u64> {
        self.remove().then_some(self.part)
    }

    fn remove(&self) -> bool {
        let mut state = self.locks.state();
        // The partial file was unlocked a moment ago: another upload may have it already.
        let is_mine = state.locks.get(&self.part).is_some_and(|entry| entry.number == self.number);
        let entry = if is_mine { state.locks.remove(&self.part) } else { None };
        entry.is_some_and(|entry| entry.is_obsolete)
    }
}

impl Drop for UploadLock {
    fn drop(&mut self) {
        self.remove();
        self.released.cancel();
    }
}
