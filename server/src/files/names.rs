//! Locks on paths: a name in the file system and its quota row change together. Held for a few system calls and
//! row writes, never while content is flushed.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks for all paths, by their hash. Some 16 threads store files at once: two of them rarely share a lock.
const LOCKS: usize = 256;

/// The locks of all paths.
#[derive(Debug)]
pub(super) struct NameLocks {
    all: RwLock<()>,
    paths: [Mutex<()>; LOCKS],
    hasher: RandomState,
    /// How often [`lock_all`](Self::lock_all) was called: only its callers move folders.
    moves: AtomicU64,
}

/// One path, and with it the way there.
#[derive(Debug)]
pub(super) struct PathLock<'a> {
    _path: MutexGuard<'a, ()>,
    _all: RwLockReadGuard<'a, ()>,
    moves: u64,
}

/// Every path.
#[derive(Debug)]
pub(super) struct AllPathsLock<'a>(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'a, ()>);

impl NameLocks {
    pub(super) fn new() -> Self {
        let paths = [const { Mutex::new(()) }; LOCKS];
        Self { all: RwLock::new(()), paths, hasher: RandomState::new(), moves: AtomicU64::new(0) }
    }

    /// Locks one path: no other thread stores, renames or removes a file or folder of this path, and no folder is
    /// moved. A thread may hold one lock at a time.
    pub(super) fn lock(&self, path: &str) -> PathLock<'_> {
        let all = self.all.read();
        let path = self.hasher.hash_one(path) as usize % LOCKS;
        let path = self.paths[path].lock();
        PathLock { _path: path, _all: all, moves: self.moves.load(Ordering::Relaxed) }
    }

    /// A counter that changes when a folder may have been moved.
    pub(super) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Relaxed)
    }

    /// Locks all paths: no other thread stores, renames or removes anything.
    pub(super) fn lock_all(&self) -> AllPathsLock<'_> {
        let all = self.all.write();
        self.moves.fetch_add(1, Ordering::Relaxed);
        AllPathsLock(all)
    }
}

impl PathLock<'_> {
    /// What [`NameLocks::moves`] is for as long as this is held.
    pub(super) fn moves(&self) -> u64 {
        self.moves
    }
}
