//! Reuses the memory of blocks.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use quiver_protocol::chunk::{BLOCK, FRAMED_BLOCK, HEADROOM};

/// A pool of block buffers; QUIC returns them when it no longer needs them. Keeps only as many free
/// buffers as one step needs: a stalled transfer would hold more of them without using them. Once
/// its last clone is dropped, returned buffers are freed.
#[derive(Debug, Clone, Default)]
pub(super) struct BufferPool(Arc<Mutex<FreeBuffers>>);

#[derive(Debug, Default)]
pub(super) struct FreeBuffers {
    pub(super) buffers: Vec<Vec<u8>>,
    max: usize,
}

struct LentBuffer {
    buffer: Vec<u8>,
    length: usize,
    pool: Weak<Mutex<FreeBuffers>>,
}

impl BufferPool {
    /// Limits the number of free buffers.
    pub(super) fn set_capacity(&self, max: usize) {
        let mut free = self.lock();
        free.max = max;
        free.buffers.truncate(max);
    }

    /// Takes a buffer for a block of `length` bytes; a small file does not get a whole block.
    pub(super) fn take(&self, length: usize) -> Vec<u8> {
        let mut buffer = self.lock().buffers.pop().unwrap_or_default();
        let size = if length == BLOCK { FRAMED_BLOCK } else { HEADROOM + length };
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        buffer
    }

    pub(super) fn lend(&self, buffer: Vec<u8>, length: usize) -> Bytes {
        Bytes::from_owner(LentBuffer { buffer, length, pool: Arc::downgrade(&self.0) })
    }

    pub(super) fn lock(&self) -> parking_lot::MutexGuard<'_, FreeBuffers> {
        self.0.lock()
    }
}

impl AsRef<[u8]> for LentBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for LentBuffer {
    fn drop(&mut self) {
        let Some(pool) = self.pool.upgrade() else { return };
        let mut free = pool.lock();
        if free.buffers.len() < free.max {
            free.buffers.push(std::mem::take(&mut self.buffer));
        }
    }
}
