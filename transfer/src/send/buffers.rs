//! Memory for blocks, used again and again.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use quiver_protocol::chunk::{BLOCK, FRAMED_BLOCK, HEADROOM};

/// Block buffers that come back once QUIC needs them no more. Kept are those that one step needs; a
/// transfer that stalls would hold any others for nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<KeptBuffers>>);

#[derive(Debug, Default)]
pub(super) struct KeptBuffers {
    pub(super) buffers: Vec<Vec<u8>>,
    most: usize,
}

struct LentBuffer {
    buffer: Vec<u8>,
    length: usize,
    home: Buffers,
}

impl Buffers {
    /// Keeps at most so many.
    pub(super) fn keep(&self, most: usize) {
        let mut kept = self.lock();
        kept.most = most;
        kept.buffers.truncate(most);
    }

    /// A buffer for a block of `length` bytes. Small files do not pay for a whole block.
    pub(super) fn take(&self, length: usize) -> Vec<u8> {
        let mut buffer = self.lock().buffers.pop().unwrap_or_default();
        let size = if length == BLOCK { FRAMED_BLOCK } else { HEADROOM + length };
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        buffer
    }

    pub(super) fn lend(&self, buffer: Vec<u8>, length: usize) -> Bytes {
        Bytes::from_owner(LentBuffer { buffer, length, home: self.clone() })
    }

    pub(super) fn lock(&self) -> parking_lot::MutexGuard<'_, KeptBuffers> {
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
        let mut kept = self.home.lock();
        if kept.buffers.len() < kept.most {
            kept.buffers.push(std::mem::take(&mut self.buffer));
        }
    }
}
