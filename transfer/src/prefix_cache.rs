//! The hash states of files that this process has sent recently, and their last blocks, so that a
//! receiver that continues on another connection costs no second reading: neither of what it has,
//! nor of what was on its way. Knows no streams.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use quiver_protocol::ContentPrefix;
use quiver_protocol::chunk::BLOCK;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::source::FileIdentity;
use crate::{HashedPrefix, Source};

/// Maximum number of files.
const MAX_FILES: usize = 64;

/// Hash states of a file, one for each of the last blocks, of 2 KiB each. They reach back 70 MiB from what the sender has
/// read. A receiver has stored all but less than that: 64 MiB in its stream window (`LARGEST_WINDOW` in
/// transport/src/role.rs), four blocks that the sender has read ahead, and three that the receiver has not written.
const MAX_STATES: usize = 280;

/// Hash states of all files, of 3 MiB: 24 for each file if there are as many as possible.
const MAX_ALL_STATES: usize = 24 * MAX_FILES;

/// Maximum number of blocks of all files: 24 MiB, what four files on short paths need.
const MAX_BLOCKS: usize = 96;

/// How long the states are kept after a transfer ended without a confirmation. A client tries to
/// reconnect for a minute by default.
const MAX_IDLE: Duration = Duration::from_secs(600);

/// How long the blocks are kept then: until a receiver has noticed that it lost its connection, and
/// has tried to reconnect.
const MAX_BLOCKS_IDLE: Duration = Duration::from_secs(120);

/// Hash states at the block boundaries of files that are being sent, or whose transfer ended early,
/// and the blocks before them. Cheap to clone; all clones share the states.
///
/// Holds the states of the last 70 MiB of at most 64 files, in at most 3 MiB, and at most 24 MiB of
/// their blocks. If the states are too many, the file with the most loses its oldest one. If there
/// are too many files, a new one replaces the one whose transfer ended first, or is not recorded
/// while all others are being sent; a new block replaces one of a file whose transfer has ended, or
/// else of the file with the most blocks. A file is removed when its receiver has confirmed it, or
/// ten minutes after its transfer ended; its blocks are dropped after
/// [two minutes](Self::drop_idle_blocks).
#[derive(Debug, Clone, Default)]
pub struct PrefixCache(Arc<CacheShared>);

#[derive(Debug, Default)]
struct CacheShared {
    files: Mutex<CachedFiles>,
    /// Notified when a transfer has ended without a confirmation.
    ended: Notify,
}

#[derive(Debug, Default)]
struct CachedFiles {
    files: Vec<CachedFile>,
    last_id: u64,
}

/// The states of one transfer of a file.
#[derive(Debug)]
struct CachedFile {
    id: u64,
    identity: FileIdentity,
    /// In the order of their lengths.
    states: VecDeque<CachedState>,
    /// When its transfer ended; `None` while it is being sent.
    ended: Option<Instant>,
}

#[derive(Debug)]
struct CachedState {
    hashed: HashedPrefix,
    /// The Data frames of the block that ends with this state.
    block: Option<Bytes>,
}

/// Records the states of one transfer. Its file is idle once this is dropped.
#[derive(Debug)]
pub(crate) struct PrefixRecorder {
    cache: PrefixCache,
    identity: FileIdentity,
    id: u64,
    /// Offset at which the transfer started.
    start: u64,
}

/// A whole block that another transfer of the same file has read.
#[derive(Debug)]
pub(crate) struct CachedBlock {
    /// Its Data frames.
    pub(crate) framed: Bytes,
    /// The hash state at its end.
    pub(crate) end: HashedPrefix,
}

impl PrefixCache {
    /// The hashed prefix of `source` that `claim` describes, if it was recorded and the file is
    /// unchanged since then.
    pub(crate) fn find(&self, source: &Source, claim: ContentPrefix) -> Option<HashedPrefix> {
        let identity = source.identity()?;
        let cached = self.0.files.lock();
        let files = cached.files.iter().filter(|file| file.identity == identity);
        let mut states = files.flat_map(|file| &file.states).map(|state| &state.hashed);
        states.find(|state| state.length == claim.size && state.prefix() == claim).cloned()
    }

    /// Starts recording a transfer of `source` from the end of `from` on; `None` if the source is not
    /// a file.
    pub(crate) fn start_recording(
        &self,
        source: &Source,
        from: &HashedPrefix,
    ) -> Option<PrefixRecorder> {
        let identity = source.identity()?;
        let mut cached = self.0.files.lock();
        cached.last_id += 1;
        let (cache, id) = (self.clone(), cached.last_id);
        drop(cached);
        let recorder = PrefixRecorder { cache, identity, id, start: from.length };
        recorder.record(&from.hasher, from.length, None);
        Some(recorder)
    }

    /// Drops the blocks of each file two minutes after its transfer ended without a confirmation.
    /// Never returns: the owner of the cache runs this beside all transfers.
    pub async fn drop_idle_blocks(&self) {
        loop {
            let next = self.0.files.lock().drop_idle_blocks(Instant::now());
            match next {
                Some(time) => sleep_until(time).await,
                None => self.0.ended.notified().await,
            }
        }
    }
}

impl PrefixRecorder {
    /// Records a state if it ends a block, counted from the start of the transfer: the receiver's
    /// blocks begin there as well. `block` is the Data frames of the whole block that it ends.
    pub(crate) fn record(&self, state: &blake3::Hasher, length: u64, block: Option<&Bytes>) {
        if length > 0 && (length - self.start).is_multiple_of(BLOCK as u64) {
            let hashed = HashedPrefix { hasher: Box::new(state.clone()), length };
            let state = CachedState { hashed, block: block.cloned() };
            // Dropped without the lock: they return their memory to their transfers.
            let _dropped = {
                let mut cached = self.cache.0.files.lock();
                cached.add_state(self.id, self.identity, state, Instant::now())
            };
        }
    }

    /// Takes the whole block at `offset` that another transfer of the unchanged file has read. If
    /// the file has moved to another connection, that one has sent the block in vain.
    pub(crate) fn take_block(&self, offset: u64) -> Option<CachedBlock> {
        let mut cached = self.cache.0.files.lock();
        let is_other =
            |file: &&mut CachedFile| file.identity == self.identity && file.id != self.id;
        let mut states = cached.files.iter_mut().filter(is_other).flat_map(|file| &mut file.states);
        states.find_map(|state| {
            let is_next = state.hashed.length == offset + BLOCK as u64;
            let framed = if is_next { state.block.take() } else { None }?;
            Some(CachedBlock { framed, end: state.hashed.clone() })
        })
    }

    /// Removes the file: its receiver has all of it.
    pub(crate) fn remove(&self) {
        self.cache.0.files.lock().files.retain(|file| file.id != self.id);
    }
}

impl Drop for PrefixRecorder {
    fn drop(&mut self) {
        let mut cached = self.cache.0.files.lock();
        if let Some(file) = cached.files.iter_mut().find(|file| file.id == self.id) {
            file.ended = Some(Instant::now());
            self.cache.0.ended.notify_one();
        }
    }
}

impl CachedFile {
    fn block_count(&self) -> usize {
        self.states.iter().filter(|state| state.block.is_some()).count()
    }

    fn take_oldest_block(&mut self) -> Option<Bytes> {
        self.states.iter_mut().find_map(|state| state.block.take())
    }
}

impl CachedFiles {
    /// Adds a state of a transfer. Returns the blocks that are no longer kept.
    fn add_state(
        &mut self,
        id: u64,
        identity: FileIdentity,
        state: CachedState,
        now: Instant,
    ) -> [Option<Bytes>; 3] {
        let replaced = state.block.is_some().then(|| self.make_block_space()).flatten();
        let oldest = self.make_state_space(id);
        if let Some(file) = self.files.iter_mut().find(|file| file.id == id) {
            file.states.push_back(state);
            [replaced, oldest, None]
        } else if self.make_space(now) {
            let states = VecDeque::from([state]);
            self.files.push(CachedFile { id, identity, states, ended: None });
            [replaced, oldest, None]
        } else {
            [replaced, oldest, state.block]
        }
    }

    /// Removes a state if there is no space for another one of this file: the oldest of the file, or of the file with the
    /// most. Returns its block.
    fn make_state_space(&mut self, id: u64) -> Option<Bytes> {
        let total: usize = self.files.iter().map(|file| file.states.len()).sum();
        let full = if total >= MAX_ALL_STATES {
            self.files.iter_mut().max_by_key(|file| file.states.len())
        } else {
            self.files.iter_mut().find(|file| file.id == id && file.states.len() == MAX_STATES)
        };
        full?.states.pop_front()?.block
    }

    /// Takes a block if there is no space for another one: of a file whose transfer has ended, or
    /// else of the file with the most blocks.
    fn make_block_space(&mut self) -> Option<Bytes> {
        let counts = self.files.iter().map(CachedFile::block_count);
        if counts.sum::<usize>() < MAX_BLOCKS {
            return None;
        }
        let with_blocks = self.files.iter_mut().filter(|file| file.block_count() > 0);
        let least_useful =
            with_blocks.max_by_key(|file| (file.ended.is_some(), file.block_count()));
        least_useful.and_then(CachedFile::take_oldest_block)
    }

    /// Drops the blocks of files that are idle for long. Returns when to call this again.
    fn drop_idle_blocks(&mut self, now: Instant) -> Option<Instant> {
        let mut next = None;
        for file in self.files.iter_mut().filter(|file| file.block_count() > 0) {
            let Some(ended) = file.ended else { continue };
            let end = ended + MAX_BLOCKS_IDLE;
            if end <= now {
                file.states.iter_mut().for_each(|state| state.block = None);
            } else {
                next = Some(next.map_or(end, |next: Instant| next.min(end)));
            }
        }
        next
    }

    /// Removes idle files, and if there is no space for another file, the one that ended first.
    /// Returns whether there is space.
    fn make_space(&mut self, now: Instant) -> bool {
        let is_kept = |ended: Instant| now.saturating_duration_since(ended) < MAX_IDLE;
        self.files.retain(|file| file.ended.is_none_or(is_kept));
        if self.files.len() < MAX_FILES {
            return true;
        }
        let ended = self.files.iter().enumerate();
        let first = ended.filter_map(|(index, file)| Some((file.ended?, index))).min();
        first.map(|(_, index)| self.files.swap_remove(index)).is_some()
    }
}

#[cfg(test)]
mod tests;
