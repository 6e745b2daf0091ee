//! Locks on paths: a name in the file system and its quota row change together. A lock is held for
//! a few system calls and row writes, never while content is flushed.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks for all paths, by their hash. Some 16 threads store files at once: two of them rarely
/// share a lock.
const LOCKS: usize = 256;

/// The locks of all paths.
#[derive(Debug)]
pub(super) struct PathLocks {
    all: RwLock<()>,
    paths: [Mutex<()>; LOCKS],
    hasher: RandomState,
    /// How often [`lock_all`](Self::lock_all) was called: only its callers move folders.
    move_count: AtomicU64,
}

/// The lock of one path. While it is held, no folder is moved.
#[derive(Debug)]
pub(super) struct PathLock<'a> {
    _path: MutexGuard<'a, ()>,
    _all: RwLockReadGuard<'a, ()>,
    move_count: u64,
}

/// The lock of every path.
#[derive(Debug)]
pub(super) struct AllPathsLock<'a>(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'a, ()>);

impl PathLocks {
    pub(super) fn new() -> Self {
        let paths = [const { Mutex::new(()) }; LOCKS];
        let (all, hasher) = (RwLock::new(()), RandomState::new());
        Self { all, paths, hasher, move_count: AtomicU64::new(0) }
    }

    /// Locks one path: no other thread stores, renames or removes a file or folder of this path,
    /// and no folder is moved. A thread may hold one lock at a time.
    pub(super) fn lock(&self, path: &str) -> PathLock<'_> {
        let all = self.all.read();
        let path = self.hasher.hash_one(path) as usize % LOCKS;
        let path = self.paths[path].lock();
        PathLock { _path: path, _all: all, move_count: self.move_count.load(Ordering::Relaxed) }
    }

    /// A counter that changes when a folder may have been moved.
    pub(super) fn move_count(&self) -> u64 {
        self.move_count.load(Ordering::Relaxed)
    }

    /// Locks all paths: no other thread stores, renames or removes anything.
    pub(super) fn lock_all(&self) -> AllPathsLock<'_> {
        let all = self.all.write();
        self.move_count.fetch_add(1, Ordering::Relaxed);
        AllPathsLock(all)
    }
}

impl PathLock<'_> {
    /// The value of [`PathLocks::move_count`] while this lock is held.
    pub(super) fn move_count(&self) -> u64 {
        self.move_count
    }
}
