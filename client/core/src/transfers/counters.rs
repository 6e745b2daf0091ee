//! A transfer's counters: bytes at each end, and the rate. Atomics for the tasks that count.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::rate_estimator::RateEstimator;

/// The value of a counter that is not known yet.
const UNKNOWN: u64 = u64::MAX;

/// The counters. Each byte counts once, including bytes that existed before this run.
#[derive(Debug)]
pub(crate) struct TransferCounters {
    files: AtomicU64,
    files_done: AtomicU64,
    bytes: AtomicU64,
    /// Number of files whose size is counted in `bytes`, or not counted one by one.
    sized_files: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    verified: AtomicU64,
    /// Bytes that count as done: those of earlier runs, and those that this run has brought to the receiver.
    moved: AtomicU64,
    /// Those of this run.
    transferred: AtomicU64,
    rate: Mutex<RateEstimator>,
}

/// How many bytes of one file are counted, over all attempts.
#[derive(Debug, Default)]
pub(crate) struct FileBytesCounter(AtomicU64);

impl FileBytesCounter {
    /// Raises the counter to `bytes`. Returns how many of them were not counted before.
    pub(crate) fn raise(&self, bytes: u64) -> u64 {
        bytes.saturating_sub(self.0.fetch_max(bytes, Ordering::Relaxed))
    }
}

impl Default for TransferCounters {
    fn default() -> Self {
        Self {
            files: AtomicU64::new(UNKNOWN),
            files_done: AtomicU64::new(0),
            bytes: AtomicU64::new(UNKNOWN),
            sized_files: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            verified: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            transferred: AtomicU64::new(0),
            rate: Mutex::default(),
        }
    }
}

impl TransferCounters {
    /// Sets the number of files.
    pub(crate) fn set_files(&self, files: u64) {
        self.files.store(files, Ordering::Relaxed);
    }

    /// Sets the size of all files.
    pub(crate) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.sized_files.store(UNKNOWN, Ordering::Relaxed);
    }

    /// Adds the size of one of the files to the size of all files.
    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.sized_files.fetch_add(1, Ordering::Relaxed);
        let add =
            |known: u64| Some(if known == UNKNOWN { bytes } else { known.saturating_add(bytes) });
        // Never fails: `add` always returns a value.
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Counts bytes of an upload that were handed to the connection.
    pub(crate) fn add_sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes of an offer that were sent to its recipient.
    pub(crate) fn add_served(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        self.add_transferred(bytes);
    }

    /// Counts bytes of a download that were received.
    pub(crate) fn add_received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
        self.add_transferred(bytes);
    }

    /// Counts bytes of an upload that the server has received.
    pub(crate) fn add_acknowledged(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
        self.add_transferred(bytes);
    }

    /// Counts bytes of an upload that the server had before this run.
    pub(crate) fn add_previously_acknowledged(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        self.received.fetch_add(bytes, Ordering::Relaxed);
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes of a download that were stored locally before this run.
    pub(crate) fn add_previously_received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts the size of a downloaded file that the server has sent completely.
    pub(crate) fn add_sent_by_server(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts a file that is verified and has its name.
    pub(crate) fn add_done(&self, bytes: u64) {
        self.files_done.fetch_add(1, Ordering::Relaxed);
        self.verified.fetch_add(bytes, Ordering::Relaxed);
    }

    fn add_transferred(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.moved.fetch_add(bytes, Ordering::Relaxed);
        let transferred = self.transferred.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // Another thread is recording: one sample is enough.
        if let Some(mut rate) = self.rate.try_lock() {
            rate.record(Instant::now(), transferred);
        }
    }

    pub(crate) fn files(&self) -> Option<u64> {
        known(&self.files)
    }

    pub(crate) fn files_done(&self) -> u64 {
        self.files_done.load(Ordering::Relaxed)
    }

    /// Returns the bytes of all files; `None` until all sizes are known. `files_failed` files may have no size.
    pub(crate) fn bytes(&self, files_failed: u64) -> Option<u64> {
        let sized = self.sized_files.load(Ordering::Relaxed).saturating_add(files_failed);
        known(&self.bytes).filter(|_| self.files().is_none_or(|files| sized >= files))
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(crate) fn verified(&self) -> u64 {
        self.verified.load(Ordering::Relaxed)
    }

    /// Returns the rate of the last seconds in bytes per second; `None` until enough time has passed.
    pub(crate) fn rate(&self) -> Option<u64> {
        let estimator = self.rate.lock();
        estimator.rate(Instant::now(), self.transferred.load(Ordering::Relaxed))
    }

    /// Returns the time that the rest of `bytes` takes at this rate.
    pub(crate) fn time_left(&self, bytes: Option<u64>, rate: Option<u64>) -> Option<Duration> {
        let rate = rate.filter(|rate| *rate > 0)?;
        let rest = bytes?.saturating_sub(self.moved.load(Ordering::Relaxed));
        // Files are verified and named after their last byte, which this cannot foretell.
        let rest = Some(rest).filter(|rest| *rest > 0)?;
        Some(Duration::from_secs(rest.div_ceil(rate)))
    }
}

fn known(number: &AtomicU64) -> Option<u64> {
    Some(number.load(Ordering::Relaxed)).filter(|number| *number != UNKNOWN)
}
