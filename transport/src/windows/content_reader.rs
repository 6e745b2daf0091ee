//! A stream on which content is received: how much of it follows, and how much was read.

use std::sync::atomic::Ordering;

use super::ConnectionWindows;

/// Counts a stream on which content is received, until dropped.
#[derive(Debug)]
pub(crate) struct ContentReader {
    windows: ConnectionWindows,
    /// The bytes that follow, if that is known.
    remaining: Option<u64>,
}

impl ContentReader {
    /// One that is counted already, and does not know how much content follows.
    pub(super) fn new(windows: ConnectionWindows) -> Self {
        Self { windows, remaining: None }
    }

    /// Tells how many bytes follow on this stream.
    pub(crate) fn expect(&mut self, bytes: u64) {
        let mut readers = self.windows.0.readers.lock();
        match self.remaining {
            Some(remaining) => readers.remaining -= remaining,
            None => readers.without_size -= 1,
        }
        // The other side may announce any size.
        let bytes = bytes.min(u64::MAX - readers.remaining);
        readers.remaining += bytes;
        self.remaining = Some(bytes);
    }

    /// Counts content that was read.
    pub(crate) fn add(&mut self, bytes: u64) {
        let state = &self.windows.0;
        state.content_read.fetch_add(bytes, Ordering::Relaxed);
        if let Some(remaining) = &mut self.remaining {
            let counted = bytes.min(*remaining);
            *remaining -= counted;
            state.readers.lock().remaining -= counted;
        }
        self.windows.note_content();
    }
}

impl Drop for ContentReader {
    fn drop(&mut self) {
        let mut readers = self.windows.0.readers.lock();
        readers.count -= 1;
        match self.remaining {
            Some(remaining) => readers.remaining -= remaining,
            None => readers.without_size -= 1,
        }
    }
}
