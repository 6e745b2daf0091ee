//! A transfer's counters: bytes at each end, and the rate. Atomics for the tasks that count, and a
//! few samples for the rate.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The rate is the average over this time.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// Minimum time between two samples.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);

/// The value of a counter that is not known yet.
const UNKNOWN: u64 = u64::MAX;

/// The counters. Each byte counts once, including bytes that existed before this run.
#[derive(Debug)]
pub(crate) struct TransferCounters {
    files: AtomicU64,
    files_done: AtomicU64,
    bytes: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    verified: AtomicU64,
    /// Values of `transferred`, and when they were taken.
    samples: Mutex<VecDeque<(Instant, u64)>>,
    transferred: AtomicU64,
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
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            verified: AtomicU64::new(0),
            samples: Mutex::default(),
            transferred: AtomicU64::new(0),
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
    }

    /// Adds the size of a file to the size of all files.
    pub(crate) fn add_bytes(&self, bytes: u64) {
        let add =
            |known: u64| Some(if known == UNKNOWN { bytes } else { known.saturating_add(bytes) });
        // Never fails: `add` always returns a value.
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Counts bytes of an upload that were handed to the connection.
    pub(crate) fn add_sent(&self, bytes: u64) {
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
    }

    /// Counts bytes of an upload that the server had before this run.
    pub(crate) fn add_previously_acknowledged(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes of a download that were stored locally before this run.
    pub(crate) fn add_previously_received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
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
        let transferred = self.transferred.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // Another thread is taking a sample: one is enough.
        let Some(mut samples) = self.samples.try_lock() else { return };
        let now = Instant::now();
        if samples.back().is_none_or(|(last, _)| now - *last >= SAMPLE_INTERVAL) {
            samples.push_back((now, transferred));
            while samples.front().is_some_and(|(first, _)| now - *first > RATE_WINDOW) {
                samples.pop_front();
            }
        }
    }

    pub(crate) fn files(&self) -> Option<u64> {
        known(&self.files)
    }

    pub(crate) fn files_done(&self) -> u64 {
        self.files_done.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> Option<u64> {
        known(&self.bytes)
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

    /// Returns the rate of the last seconds in bytes per second; `None` with too few samples.
    pub(crate) fn rate(&self) -> Option<u64> {
        let samples = self.samples.lock();
        let (since, before) = *samples.front()?;
        let took = since.elapsed();
        if took < SAMPLE_INTERVAL * 2 {
            return None;
        }
        let transferred = self.transferred.load(Ordering::Relaxed).saturating_sub(before);
        let nanoseconds = took.as_nanos().max(1);
        u64::try_from(u128::from(transferred) * 1_000_000_000 / nanoseconds).ok()
    }

    /// Returns the time that the remaining bytes take at the current rate.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let rate = self.rate().filter(|rate| *rate > 0)?;
        let counted = self.received().max(self.sent());
        Some(Duration::from_secs(self.bytes()?.saturating_sub(counted) / rate))
    }
}

fn known(number: &AtomicU64) -> Option<u64> {
    Some(number.load(Ordering::Relaxed)).filter(|number| *number != UNKNOWN)
}
