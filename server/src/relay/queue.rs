//! The packets that wait for one client: a bounded queue that drops the newest. Knows no streams.
//!
//! Packets are copied into blocks of some KiB. A copy costs far less than encryption, and the memory is then exactly
//! what the queue counts: a slice of received bytes would keep the whole buffer that the kernel filled, and QUIC
//! searches its list of written slices for each packet that it sends.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::metrics::DropReason;

/// The most memory in bytes that the packets for one client may take.
const CAPACITY: usize = 256 * 1024;

/// The size in bytes at which a block takes no more packets: enough to make a write cheap.
const BLOCK_SIZE: usize = 16 * 1024;

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[test]
    fn a_queue_drops_the_newest_packets_and_counts_all_of_its_memory() {
        for length in [4, 100, 1203, 8_195, 16_387] {
            let queue = PacketQueue::default();
            let mut accepted = 0;
            while queue.push(&vec![accepted as u8; length]).is_ok() {
                accepted += 1;
            }
            assert_eq!(queue.push(&vec![0; length]), Err(DropReason::QueueFull));
            let blocks: usize = queue.state.lock().blocks.iter().map(Vec::capacity).sum();
            assert_eq!(queue.memory(), blocks);
            assert!(blocks <= CAPACITY, "{blocks} bytes of memory for packets of {length}");
            assert!(accepted * length > CAPACITY / 2, "{accepted} packets of {length}");
            let mut received = Vec::new();
            while let Some(block) = queue.try_next() {
                assert_eq!(block.len() % length, 0, "whole packets");
                received.extend(block.chunks(length).map(|packet| packet[0]));
                queue.written();
            }
            let expected: Vec<_> = (0..accepted).map(|number| number as u8).collect();
            assert_eq!(received, expected);
            assert_eq!(queue.memory(), 0);
        }
    }

    #[test]
    fn the_block_that_is_written_counts() {
        let queue = PacketQueue::default();
        while queue.push(&[0; 1203]).is_ok() {}
        let block = queue.try_next().unwrap();
        assert_eq!(queue.push(&[0; 1203]), Err(DropReason::QueueFull));
        queue.written();
        drop(block);
        assert_eq!(queue.push(&[0; 1203]), Ok(()));
    }

    #[test]
    fn nothing_waits_for_a_client_that_does_not_read() {
        let queue = PacketQueue::default();
        for _ in 0..100 {
            queue.push(&[0; 1203]).unwrap();
        }
        let block = queue.try_next().unwrap();
        queue.stall();
        assert_eq!(queue.push(&[0; 1203]), Err(DropReason::NotRead));
        assert_eq!(queue.try_next(), None);
        assert!(queue.memory() <= BLOCK_SIZE);
        drop(block);
        queue.written();
        assert_eq!(queue.memory(), 0);
        assert_eq!(queue.push(&[0; 1203]), Ok(()));
    }

    #[tokio::test]
    async fn a_packet_wakes_the_writer_that_waits() {
        let queue = PacketQueue::default();
        let write = async { queue.next().await.len() };
        let push = async {
            tokio::task::yield_now().await;
            queue.push(&[0; 7]).unwrap();
        };
        let both = async { tokio::join!(write, push) };
        assert_eq!(timeout(Duration::from_secs(10), both).await, Ok((7, ())));
    }
}
