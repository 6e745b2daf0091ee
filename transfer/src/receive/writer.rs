//! Writes blocks to a sink: hashes them, and writes them in order on a blocking thread while more
//! are received. The number of unwritten blocks is bounded. Knows nothing of frames.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::num::NonZero;
use std::sync::{Arc, LazyLock};
use std::thread::{self, available_parallelism};
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::ContentHash;
use quiver_protocol::chunk::BLOCK;
use tokio::sync::Notify;
use tokio::task::{self, JoinHandle};

use crate::HashedPrefix;
use crate::batching::{self, ActiveTransfers};
use crate::timings::{DiskAccess, TransferTimings};

/// Bytes that are hashed in one call while a block fills: few enough to be still in the processor's
/// nearest caches, and enough for all lanes of its vectors.
const HASH_BATCH: usize = 64 * 1024;

/// How often a thread without a block yields before it ends: the next block is often nearly full,
/// and waking a thread costs more.
const IDLE_YIELDS: usize = 3;

/// Which thread hashes blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HashingThread {
    /// The thread that receives blocks, while they are in its processor's cache.
    Network,
    /// The thread that writes blocks.
    Writer,
}

impl HashingThread {
    /// Chooses by the number of processors. If both ends run on a machine with two processors,
    /// their threads share them, and one is always used by the network: hashing on another thread
    /// would wait there. With more processors, hashing runs in parallel with the network.
    pub(super) fn for_this_machine() -> Self {
        static HASHING_THREAD: LazyLock<HashingThread> = LazyLock::new(|| {
            let processors = available_parallelism().map_or(1, NonZero::get);
            if processors > 2 { HashingThread::Writer } else { HashingThread::Network }
        });
        *HASHING_THREAD
    }
}

/// Hashes blocks and writes them on a blocking thread, while the network delivers more.
pub(super) struct BlockWriter<W> {
    queue: Arc<WriteQueue<W>>,
    /// The current or last thread that writes.
    thread: Option<JoinHandle<()>>,
    /// The hasher, if blocks are hashed before they are written.
    hasher: Option<NetworkHasher>,
    /// Bytes of the content before the first block.
    offset: u64,
    active: ActiveTransfers,
    capacity: usize,
    pub(super) timings: TransferTimings,
}

/// Hashes blocks on the thread that receives them.
struct NetworkHasher {
    /// Includes a part of the filling block.
    hasher: Box<blake3::Hasher>,
    /// Number of bytes of the filling block that are already hashed.
    hashed: usize,
    /// The state at the end of the last queued block.
    queued: Box<blake3::Hasher>,
}

/// State shared by the thread that receives blocks and the one that writes them. Locked only
/// briefly.
struct WriteQueue<W> {
    state: Mutex<QueuedWrites<W>>,
    /// Notified when a block was written or the thread has ended.
    changed: Notify,
}

struct QueuedWrites<W> {
    /// `None` while a thread writes.
    work: Option<WriteJob<W>>,
    waiting: VecDeque<Vec<u8>>,
    /// Number of blocks that wait or are being written.
    unwritten: usize,
    /// Buffers of written blocks, for reuse.
    empty: Vec<Vec<u8>>,
    /// Bytes written to the sink.
    written: u64,
    /// Timing of the last written block.
    access: DiskAccess,
    /// Whether writing failed; `failure` has the error until it is reported.
    has_failed: bool,
    failure: Option<io::Error>,
}

struct WriteJob<W> {
    sink: W,
    /// The hasher, if blocks are hashed while they are written.
    hasher: Option<Box<blake3::Hasher>>,
}

/// Result of checking the queue.
enum QueueState {
    /// The condition is met.
    Ready,
    Pending,
    /// Writing failed; has the error if it was not yet reported.
    Failed(Option<io::Error>),
}

/// A thread that writes until no block waits. If it ends earlier, writing has failed.
struct WriterThread<W> {
    queue: Arc<WriteQueue<W>>,
    work: Option<WriteJob<W>>,
}

impl<W: Write + Send + 'static> BlockWriter<W> {
    /// Creates a writer for at most `announced` bytes of content after the prefix `from`.
    pub(super) fn new(
        sink: W,
        from: HashedPrefix,
        announced: u64,
        hashing_thread: HashingThread,
    ) -> Self {
        let HashedPrefix { hasher, length: offset } = from;
        let (network_hasher, writer_hasher) = match hashing_thread {
            HashingThread::Network => (Some(NetworkHasher::new(hasher)), None),
            HashingThread::Writer => (None, Some(hasher)),
        };
        let state = QueuedWrites {
            work: Some(WriteJob { sink, hasher: writer_hasher }),
            waiting: VecDeque::new(),
            unwritten: 0,
            empty: Vec::new(),
            written: 0,
            access: DiskAccess::start(),
            has_failed: false,
            failure: None,
        };
        Self {
            queue: Arc::new(WriteQueue { state: Mutex::new(state), changed: Notify::new() }),
            thread: None,
            hasher: network_hasher,
            offset,
            active: ActiveTransfers::register(),
            capacity: usize::try_from(announced).map_or(BLOCK, |size| size.min(BLOCK)),
            timings: TransferTimings::start(),
        }
    }

    /// An empty buffer of one block, or less if the content is smaller.
    pub(super) fn buffer(&self) -> Vec<u8> {
        let max_free = self.max_unwritten();
        let mut state = self.queue.lock();
        state.empty.truncate(max_free);
        let buffer = state.empty.pop();
        drop(state);
        buffer.unwrap_or_else(|| Vec::with_capacity(self.capacity))
    }

    /// Bytes written to the sink.
    pub(super) fn written(&self) -> u64 {
        self.queue.lock().written
    }

    /// Bytes that can be received until a block has to be written, besides those in the filling
    /// `block`.
    pub(super) fn free_space(&self, block: &[u8]) -> usize {
        let free = self.max_unwritten().saturating_sub(self.queue.lock().unwritten);
        (free * BLOCK).saturating_sub(block.len())
    }

    /// Queues a block for writing, and returns an empty one as soon as that may be filled.
    ///
    /// # Errors
    /// The error of the sink, for this block or an earlier one.
    pub(super) async fn write(&mut self, block: Vec<u8>) -> io::Result<Vec<u8>> {
        self.enqueue(block);
        let max_waiting = self.max_unwritten() - 1;
        self.wait_until(|state| state.unwritten <= max_waiting).await?;
        Ok(self.buffer())
    }

    /// Hashes the bytes of the filling block so far, in multiples of [`HASH_BATCH`].
    pub(super) fn hash_ahead(&mut self, block: &[u8]) {
        if let Some(hasher) = &mut self.hasher {
            hasher.hash_to(block, block.len() / HASH_BATCH * HASH_BATCH);
        }
    }

    /// Maximum number of unwritten blocks, including the filling one.
    fn max_unwritten(&self) -> usize {
        1 + self.active.batch_size(batching::UNWRITTEN_BLOCKS)
    }

    /// Queues a block, and starts a thread if none is running.
    fn enqueue(&mut self, block: Vec<u8>) {
        self.active.note_step();
        if let Some(hasher) = &mut self.hasher {
            hasher.finish_block(&block);
        }
        let mut state = self.queue.lock();
        state.waiting.push_back(block);
        state.unwritten += 1;
        let work = state.work.take();
        drop(state);
        if work.is_some() {
            let thread = WriterThread { queue: self.queue.clone(), work };
            self.thread = Some(task::spawn_blocking(move || thread.run()));
        }
    }

    /// Waits until the writing thread has brought the queue into a state for which `is_met` is true.
    async fn wait_until(&mut self, is_met: impl Fn(&QueuedWrites<W>) -> bool) -> io::Result<()> {
        let mut wait_started = None;
        loop {
            match self.check(wait_started, &is_met) {
                QueueState::Ready => return Ok(()),
                QueueState::Pending => {}
                QueueState::Failed(failure) => return Err(self.failure_reason(failure).await),
            }
            wait_started = Some(Instant::now());
            self.queue.changed.notified().await;
        }
    }

    /// Checks the state of the queue, after a wait that began at `wait_started`.
    fn check(
        &mut self,
        wait_started: Option<Instant>,
        is_met: impl Fn(&QueuedWrites<W>) -> bool,
    ) -> QueueState {
        let mut state = self.queue.lock();
        if let Some(wait_started) = wait_started {
            self.timings.record_wait(wait_started, &state.access);
        }
        if state.has_failed {
            return QueueState::Failed(state.failure.take());
        }
        if is_met(&state) { QueueState::Ready } else { QueueState::Pending }
    }

    /// The error because of which writing failed.
    async fn failure_reason(&mut self, failure: Option<io::Error>) -> io::Error {
        let thread = self.thread.take();
        if let Some(failure) = failure {
            return failure;
        }
        match thread {
            Some(thread) => match crate::blocking::task_result(thread.await) {
                Err(error) => error.into(),
                Ok(()) => io::Error::other("an earlier write failed"),
            },
            None => io::Error::other("an earlier write failed"),
        }
    }

    /// Drops the sink after the writing thread has ended: until then the sink would be in use for
    /// the next attempt. Complete blocks that were received are written. Returns the hashed content
    /// up to the end of the last one; `None` if writing failed.
    pub(super) async fn abandon(mut self) -> Option<HashedPrefix> {
        // The reason for the abort is already known.
        let is_written = self.wait_until(|state| state.work.is_some()).await.is_ok();
        // The thread may still hold the queue.
        let mut state = self.queue.lock();
        let (work, written) = (state.work.take(), state.written);
        drop(state);
        let hasher = work.and_then(|work| work.hasher);
        // One of the two exists, unless writing failed.
        let hasher = self.hasher.map(|network| network.queued).or(hasher).filter(|_| is_written)?;
        Some(HashedPrefix { hasher, length: self.offset + written })
    }

    /// Writes the rest; returns the sink, the hash of all content, and the timings.
    ///
    /// # Errors
    /// The error of the sink.
    pub(super) async fn close(
        mut self,
        last: Vec<u8>,
    ) -> io::Result<(W, ContentHash, TransferTimings)> {
        if !last.is_empty() {
            self.enqueue(last);
        }
        self.wait_until(|state| state.work.is_some()).await?;
        let failed = || io::Error::other("an earlier write failed");
        let mut work = self.queue.lock().work.take().ok_or_else(failed)?;
        work.sink.flush()?;
        self.timings.end_content();
        // One of the two exists.
        let hasher = self.hasher.map(|network| network.hasher).or(work.hasher);
        let hasher = hasher.ok_or_else(failed)?;
        let hash = ContentHash(*hasher.finalize().as_bytes());
        Ok((work.sink, hash, self.timings))
    }
}

impl NetworkHasher {
    fn new(hasher: Box<blake3::Hasher>) -> Self {
        Self { queued: hasher.clone(), hasher, hashed: 0 }
    }

    /// Hashes the filling block up to `end`.
    fn hash_to(&mut self, block: &[u8], end: usize) {
        if end > self.hashed {
            self.hasher.update(&block[self.hashed..end]);
            self.hashed = end;
        }
    }

    /// Hashes the rest of a block that is queued.
    fn finish_block(&mut self, block: &[u8]) {
        self.hash_to(block, block.len());
        self.hashed = 0;
        self.queued.clone_from(&self.hasher);
    }
}

impl<W> WriteQueue<W> {
    fn lock(&self) -> MutexGuard<'_, QueuedWrites<W>> {
        self.state.lock()
    }
}

impl<W: Write> WriterThread<W> {
    fn run(mut self) {
        let mut idle_yields = 0;
        loop {
            let Some(mut block) = self.next_block(idle_yields == IDLE_YIELDS) else {
                if self.work.is_none() {
                    return;
                }
                idle_yields += 1;
                thread::yield_now();
                continue;
            };
            idle_yields = 0;
            let Some(work) = &mut self.work else { return };
            let (access, written) = work.write(&block);
            let mut state = self.queue.lock();
            state.access = access;
            if let Err(error) = written {
                state.failure = Some(error);
                return;
            }
            state.written += block.len() as u64;
            state.unwritten -= 1;
            block.clear();
            state.empty.push(block);
            drop(state);
            self.queue.changed.notify_one();
        }
    }

    /// Takes the next block. If no block waits in the last try, returns the work to the queue under
    /// the same lock, so that the next block starts another thread.
    fn next_block(&mut self, is_last_try: bool) -> Option<Vec<u8>> {
        let mut state = self.queue.lock();
        let next = state.waiting.pop_front();
        if next.is_none() && is_last_try {
            state.work = self.work.take();
        }
        next
    }
}

impl<W> Drop for WriterThread<W> {
    fn drop(&mut self) {
        // The sink is closed before the failure is reported.
        if self.work.take().is_some() {
            self.queue.lock().has_failed = true;
        }
        self.queue.changed.notify_one();
    }
}

impl<W: Write> WriteJob<W> {
    fn write(&mut self, block: &[u8]) -> (DiskAccess, io::Result<()>) {
        let mut access = DiskAccess::start();
        if let Some(hasher) = &mut self.hasher {
            hasher.update(block);
        }
        let written = access.time_disk(|| self.sink.write_all(block));
        access.finish();
        (access, written)
    }
}

#[cfg(test)]
mod tests;
