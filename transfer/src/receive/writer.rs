//! Writes blocks to a sink: hashed, and written in order by a blocking thread while more are received. The number of
//! unwritten blocks is bounded. Knows nothing of frames.

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

use crate::batching::{self, ActiveTransfers};
use crate::timings::{DiskAccess, TransferTimings};

/// Bytes that are hashed at once, as a block fills: few enough that they are still in the processor's
/// nearest caches, and enough for all lanes of its vectors.
const HASHED_AT_ONCE: usize = 64 * 1024;

/// How often a thread that finds no block yields before it ends: the next is often nearly full, and to wake a thread
/// costs more.
const LINGER: usize = 3;

/// Which thread hashes blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HashingThread {
    /// The one that takes them from the network, while they are in its processor's cache.
    Network,
    /// The one that writes them.
    Writer,
}

impl HashingThread {
    /// Two processors have the threads of both ends to share where those are on one machine, and one of them is the
    /// network's in any case: a hash that moves to another thread then waits for its turn there. With more
    /// processors it is done beside the network.
    pub(super) fn of_this_machine() -> Self {
        static HASHING_THREAD: LazyLock<HashingThread> = LazyLock::new(|| {
            let processors = available_parallelism().map_or(1, NonZero::get);
            if processors > 2 { HashingThread::Writer } else { HashingThread::Network }
        });
        *HASHING_THREAD
    }
}

/// Writes blocks on a blocking thread, behind the network, and hashes them.
pub(super) struct BlockWriter<W> {
    queue: Arc<WriteQueue<W>>,
    /// The thread that writes, or did last.
    thread: Option<JoinHandle<()>>,
    /// Where blocks are hashed before they are written.
    hasher: Option<Box<blake3::Hasher>>,
    /// What of the block that fills went into that.
    hashed: usize,
    active: ActiveTransfers,
    capacity: usize,
    pub(super) times: TransferTimings,
}

/// What the thread that takes blocks from the network and the one that writes them share. Locked for moments.
struct WriteQueue<W> {
    state: Mutex<WriteState<W>>,
    /// A block was written, or the thread has ended.
    moved: Notify,
}

struct WriteState<W> {
    /// `None` while a thread writes.
    work: Option<WriteJob<W>>,
    waiting: VecDeque<Vec<u8>>,
    /// Those that wait, and the one that is being written.
    unwritten: usize,
    /// Buffers of blocks that were.
    empty: Vec<Vec<u8>>,
    /// Bytes that are in the sink.
    written: u64,
    /// The last block's.
    access: DiskAccess,
    /// Whether the work is lost, and why if that was not reported yet.
    is_lost: bool,
    failure: Option<io::Error>,
}

struct WriteJob<W> {
    sink: W,
    /// Where blocks are hashed as they are written.
    hasher: Option<Box<blake3::Hasher>>,
}

/// What the queue is found in.
enum QueueState {
    /// What is waited for is true.
    Ready,
    Pending,
    /// The work is lost, and why if that was not reported yet.
    Lost(Option<io::Error>),
}

/// A thread that writes until nothing waits. Where it ends before that, the work is lost.
struct WriterThread<W> {
    queue: Arc<WriteQueue<W>>,
    work: Option<WriteJob<W>>,
}

impl<W: Write + Send + 'static> BlockWriter<W> {
    /// For content of so many bytes at most.
    pub(super) fn new(
        sink: W,
        hasher: Box<blake3::Hasher>,
        announced: u64,
        hashing_thread: HashingThread,
    ) -> Self {
        let (here, there) = match hashing_thread {
            HashingThread::Network => (Some(hasher), None),
            HashingThread::Writer => (None, Some(hasher)),
        };
        let state = WriteState {
            work: Some(WriteJob { sink, hasher: there }),
            waiting: VecDeque::new(),
            unwritten: 0,
            empty: Vec::new(),
            written: 0,
            access: DiskAccess::begin(),
            is_lost: false,
            failure: None,
        };
        Self {
            queue: Arc::new(WriteQueue { state: Mutex::new(state), moved: Notify::new() }),
            thread: None,
            hasher: here,
            hashed: 0,
            active: ActiveTransfers::join(),
            capacity: usize::try_from(announced).map_or(BLOCK, |size| size.min(BLOCK)),
            times: TransferTimings::begin(),
        }
    }

    /// An empty block, no larger than the content.
    pub(super) fn buffer(&self) -> Vec<u8> {
        let most = self.most();
        let mut state = self.queue.lock();
        state.empty.truncate(most);
        let buffer = state.empty.pop();
        drop(state);
        buffer.unwrap_or_else(|| Vec::with_capacity(self.capacity))
    }

    /// Bytes that are in the sink.
    pub(super) fn written(&self) -> u64 {
        self.queue.lock().written
    }

    /// Bytes that may still be taken before something has to be written, beside those of a block that fills.
    pub(super) fn room(&self, block: &[u8]) -> usize {
        let free = self.most().saturating_sub(self.queue.lock().unwritten);
        (free * BLOCK).saturating_sub(block.len())
    }

    /// Takes a block and returns an empty one, as soon as that may be filled.
    ///
    /// # Errors
    /// What the sink says, of this block or one before.
    pub(super) async fn write(&mut self, block: Vec<u8>) -> io::Result<Vec<u8>> {
        self.take(block);
        let others = self.most() - 1;
        self.until(|state| state.unwritten <= others).await?;
        Ok(self.buffer())
    }

    /// Hashes what a block that fills has so far, but for less than is worth a call.
    pub(super) fn hash_ahead(&mut self, block: &[u8]) {
        let end = block.len() / HASHED_AT_ONCE * HASHED_AT_ONCE;
        if let Some(hasher) = &mut self.hasher
            && end > self.hashed
        {
            hasher.update(&block[self.hashed..end]);
            self.hashed = end;
        }
    }

    /// Blocks that may be unwritten, with the one that fills.
    fn most(&self) -> usize {
        1 + self.active.blocks(batching::BEHIND)
    }

    /// Puts a block where a thread finds it, and sends for one where none is there.
    fn take(&mut self, block: Vec<u8>) {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&block[self.hashed..]);
            self.hashed = 0;
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

    /// Waits for something that the writer's thread brings about.
    async fn until(&mut self, holds: impl Fn(&WriteState<W>) -> bool) -> io::Result<()> {
        let mut since = None;
        loop {
            match self.state(since, &holds) {
                QueueState::Ready => return Ok(()),
                QueueState::Pending => {}
                QueueState::Lost(failure) => return Err(self.loss(failure).await),
            }
            since = Some(Instant::now());
            self.queue.moved.notified().await;
        }
    }

    /// The state of the queue, after a wait that began at `since`.
    fn state(
        &mut self,
        since: Option<Instant>,
        holds: impl Fn(&WriteState<W>) -> bool,
    ) -> QueueState {
        let mut state = self.queue.lock();
        if let Some(since) = since {
            self.times.waited(since, &state.access);
        }
        if state.is_lost {
            return QueueState::Lost(state.failure.take());
        }
        if holds(&state) { QueueState::Ready } else { QueueState::Pending }
    }

    /// Why the work is lost.
    async fn loss(&mut self, failure: Option<io::Error>) -> io::Error {
        let thread = self.thread.take();
        if let Some(failure) = failure {
            return failure;
        }
        match thread {
            Some(thread) => match crate::blocking::task_result(thread.await) {
                Err(ending) => ending.into(),
                Ok(()) => io::Error::other("an earlier write failed"),
            },
            None => io::Error::other("an earlier write failed"),
        }
    }

    /// Drops the sink, once the writer's thread has ended: until then a next attempt would find it in use. Whole blocks
    /// that were received are written.
    pub(super) async fn abandon(mut self) {
        // Why it ends is known already.
        let _ = self.until(|state| state.work.is_some()).await;
        // The thread may still hold the queue.
        let work = self.queue.lock().work.take();
        drop(work);
    }

    /// Writes what is left; the sink, the hash of all that went into it, and where the time went.
    ///
    /// # Errors
    /// What the sink says.
    pub(super) async fn close(
        mut self,
        last: Vec<u8>,
    ) -> io::Result<(W, ContentHash, TransferTimings)> {
        if !last.is_empty() {
            self.take(last);
        }
        self.until(|state| state.work.is_some()).await?;
        let lost = || io::Error::other("an earlier write failed");
        let mut work = self.queue.lock().work.take().ok_or_else(lost)?;
        work.sink.flush()?;
        self.times.moved();
        // One of the two is there.
        let hasher = self.hasher.or(work.hasher).ok_or_else(lost)?;
        let hash = ContentHash(*hasher.finalize().as_bytes());
        Ok((work.sink, hash, self.times))
    }
}

impl<W> WriteQueue<W> {
    fn lock(&self) -> MutexGuard<'_, WriteState<W>> {
        self.state.lock()
    }
}

impl<W: Write> WriterThread<W> {
    fn run(mut self) {
        let mut lingered = 0;
        loop {
            let Some(mut block) = self.next(lingered == LINGER) else {
                if self.work.is_none() {
                    return;
                }
                lingered += 1;
                thread::yield_now();
                continue;
            };
            lingered = 0;
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
            self.queue.moved.notify_one();
        }
    }

    /// The next block. Where none waits and this is to be the end, the work is given back under the same lock, so
    /// that the next block starts another thread.
    fn next(&mut self, ends: bool) -> Option<Vec<u8>> {
        let mut state = self.queue.lock();
        let next = state.waiting.pop_front();
        if next.is_none() && ends {
            state.work = self.work.take();
        }
        next
    }
}

impl<W> Drop for WriterThread<W> {
    fn drop(&mut self) {
        // The sink is closed before this is reported.
        if self.work.take().is_some() {
            self.queue.lock().is_lost = true;
        }
        self.queue.moved.notify_one();
    }
}

impl<W: Write> WriteJob<W> {
    fn write(&mut self, block: &[u8]) -> (DiskAccess, io::Result<()>) {
        let mut access = DiskAccess::begin();
        if let Some(hasher) = &mut self.hasher {
            hasher.update(block);
        }
        let written = access.on_disk(|| self.sink.write_all(block));
        access.end();
        (access, written)
    }
}

#[cfg(test)]
mod tests;
