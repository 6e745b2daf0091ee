//! What was sent, what the receiver can have of it, and when it last showed that it is alive. Knows nothing of streams.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::chunk::BLOCK;
use tokio::time::{Instant, sleep_until};

/// Bytes a second that any disk takes: after the last byte the receiver may be silent for as long as
/// this takes, in addition to the timeout. It verifies and flushes then.
const SLOW_DISK: u64 = 16 * 1024 * 1024;

/// What the sending and the reading half of the conversation share.
#[derive(Debug)]
pub(super) struct SendProgress {
    offset: u64,
    size: Option<u64>,
    sent: AtomicU64,
    all_sent: AtomicBool,
    /// When the receiver last took or sent something.
    alive: Mutex<Instant>,
}

impl SendProgress {
    pub(super) fn new(offset: u64, size: Option<u64>) -> Self {
        let (sent, all_sent) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { offset, size, sent, all_sent, alive: Mutex::new(Instant::now()) }
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn was_sent(&self, length: u64) {
        self.sent.fetch_add(length, Ordering::Relaxed);
        self.alive_at(Instant::now());
    }

    /// From here on the receiver has work to do that grows with the content.
    pub(super) fn is_all_sent(&self, size: u64) {
        self.all_sent.store(true, Ordering::Relaxed);
        let flush = Duration::from_secs(size.saturating_sub(self.offset) / SLOW_DISK);
        self.alive_at(Instant::now() + flush);
    }

    pub(super) fn has_sent_all(&self) -> bool {
        self.all_sent.load(Ordering::Relaxed)
    }

    pub(super) fn alive_at(&self, moment: Instant) {
        let mut alive = self.lock();
        *alive = (*alive).max(moment);
    }

    /// What the receiver can have at most: a block may be on its way that is not yet counted.
    pub(super) fn at_most(&self) -> u64 {
        let handed = self.offset.saturating_add(self.sent()).saturating_add(BLOCK as u64);
        self.size.map_or(handed, |size| size.min(handed))
    }

    /// Resolves when the receiver has been silent for too long.
    pub(super) async fn silence(&self, patience: Duration, waits: &(dyn Fn() -> bool + Sync)) {
        loop {
            let end = *self.lock() + patience;
            if end > Instant::now() {
                sleep_until(end).await;
            } else if !self.has_sent_all() && waits() {
                self.alive_at(Instant::now());
            } else {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Instant> {
        self.alive.lock()
    }
}
