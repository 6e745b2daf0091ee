//! The packets that wait for one client: a bounded queue that drops the newest. Knows no streams.
//!
//! Packets are copied into blocks of some KiB. A copy costs far less than encryption, and the memory is then exactly
//! what the queue counts: a slice of received bytes would keep the whole buffer that the kernel filled, and QUIC
//! searches its list of written slices for each packet that it sends.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The most memory in bytes that the packets for one client may take.
const CAPACITY: usize = 256 * 1024;

/// The size in bytes at which a block takes no more packets: enough to make a write cheap.
const BLOCK_SIZE: usize = 16 * 1024;

/// Why a packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// The queue for its receiver is full.
    QueueFull,
    /// Its receiver has not read for some seconds.
    NotRead,
    /// Its sender is over the rate limit.
    RateLimit,
}

impl DropReason {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::QueueFull, Self::NotRead, Self::RateLimit];
}

/// The packets that wait for one client.
#[derive(Debug, Default)]
pub(super) struct PacketQueue {
    state: Mutex<QueueState>,
    /// Notified when a block is added.
    filled: Notify,
}

#[derive(Debug, Default)]
struct QueueState {
    /// Whole frames, oldest first.
    blocks: VecDeque<Vec<u8>>,
    /// Memory of the blocks, and of the one that is being written.
    memory: usize,
    /// Memory of the block that is being written.
    writing: usize,
    /// Packets are dropped until the client reads again.
    is_stalled: bool,
}

impl PacketQueue {
    /// Adds a frame.
    ///
    /// # Errors
    /// Why it was dropped.
    pub(super) fn push(&self, frame: &[u8]) -> Result<(), DropReason> {
        let mut state = self.state.lock();
        if state.is_stalled {
            return Err(DropReason::NotRead);
        }
        let last = state.blocks.pop_back_if(|last| last.len() + frame.len() <= BLOCK_SIZE);
        let mut block = last.unwrap_or_default();
        let before = block.capacity();
        let needed = block.len() + frame.len();
        // A block grows in steps, so that a quiet relay takes little memory.
        let grown =
            if needed <= before { before } else { needed.max((2 * before).min(BLOCK_SIZE)) };
        let has_space = state.memory - before + grown <= CAPACITY;
        if has_space {
            block.reserve_exact(grown - block.len());
            block.extend_from_slice(frame);
            state.memory = state.memory - before + block.capacity();
        }
        if !block.is_empty() {
            state.blocks.push_back(block);
        }
        drop(state);
        if !has_space {
            return Err(DropReason::QueueFull);
        }
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for a block of whole frames, and takes it. It counts until [`written`](Self::written).
    pub(super) async fn next(&self) -> Bytes {
        loop {
            if let Some(block) = self.try_next() {
                return block;
            }
            self.filled.notified().await;
        }
    }

    /// Takes a block of whole frames, if there is one.
    pub(super) fn try_next(&self) -> Option<Bytes> {
        let mut state = self.state.lock();
        let block = state.blocks.pop_front()?;
        state.writing = block.capacity();
        Some(block.into())
    }

    /// Records that the block that was taken last is written.
    pub(super) fn written(&self) {
        let mut state = self.state.lock();
        state.memory -= state.writing;
        state.writing = 0;
        state.is_stalled = false;
    }

    /// Drops all packets, and further ones until a block is [`written`](Self::written).
    pub(super) fn stall(&self) {
        let mut state = self.state.lock();
        state.blocks = VecDeque::new();
        state.memory = state.writing;
        state.is_stalled = true;
    }

    #[cfg(test)]
    fn memory(&self) -> usize {
        self.state.lock().memory
    }
}
