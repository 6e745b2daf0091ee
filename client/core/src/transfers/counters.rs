//! A transfer's numbers: what each end has, and how fast it grows. Atomics, for those who move content, and a few
//! samples for the rate.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The rate is that of so long.
const WINDOW: Duration = Duration::from_secs(5);

/// How often a sample is kept.
const SAMPLE_EVERY: Duration = Duration::from_millis(250);

/// What is not known yet.
const UNKNOWN: u64 = u64::MAX;

/// The numbers. Bytes count once, those too that were there before.
#[derive(Debug)]
pub(crate) struct TransferCounters {
    files: AtomicU64,
    files_done: AtomicU64,
    bytes: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    verified: AtomicU64,
    /// Bytes that moved in this run, when.
    samples: Mutex<VecDeque<(Instant, u64)>>,
    moved: AtomicU64,
}

/// How many bytes of one file were counted, over all attempts.
#[derive(Debug, Default)]
pub(crate) struct FileBytesCounter(AtomicU64);

impl FileBytesCounter {
    /// So many bytes of the file are there; how many of them were not counted before.
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
            moved: AtomicU64::new(0),
        }
    }
}

impl TransferCounters {
    /// How many files there are.
    pub(crate) fn set_files(&self, files: u64) {
        self.files.store(files, Ordering::Relaxed);
    }

    /// How many bytes all of them have.
    pub(crate) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// A file of so many bytes was not counted yet.
    pub(crate) fn add_bytes(&self, bytes: u64) {
        let add =
            |known: u64| Some(if known == UNKNOWN { bytes } else { known.saturating_add(bytes) });
        // Never fails: there is always another number.
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// So many bytes were handed to the connection.
    pub(crate) fn add_sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        self.add_moved(bytes);
    }

    /// So many bytes have arrived here, of a download.
    pub(crate) fn add_received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
        self.add_moved(bytes);
    }

    /// So many bytes have arrived at the other end, of an upload.
    pub(crate) fn add_acknowledged(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes were at the other end before.
    pub(crate) fn add_there(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes were here before, of a download.
    pub(crate) fn add_here(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The other end has sent all of a file of so many bytes.
    pub(crate) fn add_sent_there(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A file has its name, verified.
    pub(crate) fn add_done(&self, bytes: u64) {
        self.files_done.fetch_add(1, Ordering::Relaxed);
        self.verified.fetch_add(bytes, Ordering::Relaxed);
    }

    fn add_moved(&self, bytes: u64) {
        let moved = self.moved.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // Two threads need not both keep a sample.
        let Some(mut samples) = self.samples.try_lock() else { return };
        let now = Instant::now();
        if samples.back().is_none_or(|(last, _)| now - *last >= SAMPLE_EVERY) {
            samples.push_back((now, moved));
            while samples.front().is_some_and(|(first, _)| now - *first > WINDOW) {
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

    /// Bytes a second over the last seconds; `None` before there is something to go by.
    pub(crate) fn rate(&self) -> Option<u64> {
        let samples = self.samples.lock();
        let (since, before) = *samples.front()?;
        let took = since.elapsed();
        if took < SAMPLE_EVERY * 2 {
            return None;
        }
        let moved = self.moved.load(Ordering::Relaxed).saturating_sub(before);
        let nanoseconds = took.as_nanos().max(1);
        u64::try_from(u128::from(moved) * 1_000_000_000 / nanoseconds).ok()
    }

    /// How long the rest takes at the rate of the last seconds.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let rate = self.rate().filter(|rate| *rate > 0)?;
        let there = self.received().max(self.sent());
        Some(Duration::from_secs(self.bytes()?.saturating_sub(there) / rate))
    }
}

fn known(number: &AtomicU64) -> Option<u64> {
    Some(number.load(Ordering::Relaxed)).filter(|number| *number != UNKNOWN)
}
