//! What was sent, what the receiver can have received of it, and when the receiver last gave a sign
//! of life. Knows nothing of streams.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::chunk::BLOCK;
use tokio::time::{Instant, sleep_until};

/// Bytes per second that any disk can write. After the last byte the receiver verifies and flushes
/// the file: it may be silent for the time that this rate gives, in addition to the timeout.
const SLOW_DISK: u64 = 16 * 1024 * 1024;

/// State shared by the sending and the reading half of the conversation.
#[derive(Debug)]
pub(super) struct SendProgress {
    offset: u64,
    size: Option<u64>,
    sent: AtomicU64,
    all_sent: AtomicBool,
    /// When the receiver last took or sent data.
    last_alive: Mutex<Instant>,
}

impl SendProgress {
    pub(super) fn new(offset: u64, size: Option<u64>) -> Self {
        let (sent, all_sent) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { offset, size, sent, all_sent, last_alive: Mutex::new(Instant::now()) }
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn add_sent(&self, length: u64) {
        self.sent.fetch_add(length, Ordering::Relaxed);
        self.mark_alive(Instant::now());
    }

    /// From now on the receiver's work grows with the content.
    pub(super) fn mark_all_sent(&self, size: u64) {
        self.all_sent.store(true, Ordering::Relaxed);
        let flush = Duration::from_secs(size.saturating_sub(self.offset) / SLOW_DISK);
        self.mark_alive(Instant::now() + flush);
    }

    pub(super) fn is_all_sent(&self) -> bool {
        self.all_sent.load(Ordering::Relaxed)
    }

    pub(super) fn mark_alive(&self, moment: Instant) {
        let mut alive = self.lock();
        *alive = (*alive).max(moment);
    }

    /// The most that the receiver can have received: a block in flight may not yet be counted.
    pub(super) fn max_received(&self) -> u64 {
        let sent = self.offset.saturating_add(self.sent()).saturating_add(BLOCK as u64);
        self.size.map_or(sent, |size| size.min(sent))
    }

    /// Resolves when the receiver has been silent for longer than `idle_timeout`.
    pub(super) async fn wait_for_silence(
        &self,
        idle_timeout: Duration,
        is_source_idle: &(dyn Fn() -> bool + Sync),
    ) {
        loop {
            let end = *self.lock() + idle_timeout;
            if end > Instant::now() {
                sleep_until(end).await;
            } else if !self.is_all_sent() && is_source_idle() {
                self.mark_alive(Instant::now());
            } else {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Instant> {
        self.last_alive.lock()
    }
}
