//! The hash states of files that this process has sent recently, so that a receiver that continues
//! on another connection costs no second reading of what it has. Knows no streams.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quiver_protocol::ContentPrefix;
use quiver_protocol::chunk::BLOCK;
use tokio::time::Instant;

use crate::source::FileIdentity;
use crate::{HashedPrefix, Source};

/// Maximum number of files.
const MAX_FILES: usize = 64;

/// Hash states of a file, one for each of the last blocks, of 2 KiB each: 48 KiB a file, 3 MiB for
/// all. They reach back 6 MiB from what the sender has read. A receiver has stored all but less
/// than 4 MiB of that: 2 MiB in its stream window (`CLIENT_STREAM_WINDOW` in transport/src/role.rs),
/// four blocks that the sender has read ahead, and three that the receiver has not written.
const MAX_STATES: usize = 24;

/// How long the states are kept after a transfer ended without a confirmation. A client tries to
/// reconnect for a minute by default.
const MAX_IDLE: Duration = Duration::from_secs(600);

/// Hash states at the block boundaries of files that are being sent, or whose transfer ended early.
/// Cheap to clone; all clones share the states.
///
/// Holds the last 6 MiB of at most 64 files, in at most 3 MiB. If it is full, a new file replaces
/// the one whose transfer ended first, or is not recorded while all others are being sent. A file
/// is removed when its receiver has confirmed it, or ten minutes after its transfer ended.
#[derive(Debug, Clone, Default)]
pub struct PrefixCache(Arc<Mutex<CachedFiles>>);

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
    states: VecDeque<HashedPrefix>,
    /// When its transfer ended; `None` while it is being sent.
    ended: Option<Instant>,
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

impl PrefixCache {
    /// The hashed prefix of `source` that `claim` describes, if it was recorded and the file is
    /// unchanged since then.
    pub(crate) fn find(&self, source: &Source, claim: ContentPrefix) -> Option<HashedPrefix> {
        let identity = source.identity()?;
        let cached = self.0.lock();
        let files = cached.files.iter().filter(|file| file.identity == identity);
        let mut states = files.flat_map(|file| &file.states);
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
        let mut cached = self.0.lock();
        cached.last_id += 1;
        let (cache, id) = (self.clone(), cached.last_id);
        drop(cached);
        let recorder = PrefixRecorder { cache, identity, id, start: from.length };
        recorder.record(&from.hasher, from.length);
        Some(recorder)
    }
}

impl PrefixRecorder {
    /// Records a state if it ends a block, counted from the start of the transfer: the receiver's
    /// blocks begin there as well.
    pub(crate) fn record(&self, state: &blake3::Hasher, length: u64) {
        if length > 0 && (length - self.start).is_multiple_of(BLOCK as u64) {
            let state = HashedPrefix { hasher: Box::new(state.clone()), length };
            self.cache.0.lock().add_state(self.id, self.identity, state, Instant::now());
        }
    }

    /// Removes the file: its receiver has all of it.
    pub(crate) fn remove(&self) {
        self.cache.0.lock().files.retain(|file| file.id != self.id);
    }
}

impl Drop for PrefixRecorder {
    fn drop(&mut self) {
        let mut cached = self.cache.0.lock();
        if let Some(file) = cached.files.iter_mut().find(|file| file.id == self.id) {
            file.ended = Some(Instant::now());
        }
    }
}

impl CachedFiles {
    fn add_state(&mut self, id: u64, identity: FileIdentity, state: HashedPrefix, now: Instant) {
        if let Some(file) = self.files.iter_mut().find(|file| file.id == id) {
            if file.states.len() == MAX_STATES {
                file.states.pop_front();
            }
            file.states.push_back(state);
        } else if self.make_space(now) {
            let states = VecDeque::from([state]);
            self.files.push(CachedFile { id, identity, states, ended: None });
        }
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
