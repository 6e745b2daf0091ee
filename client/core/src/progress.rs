//! How far a file is: numbers that a transfer leaves and an interface looks at whenever it likes. Knows no screen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

/// How far a file is, or all files of a transfer together.
#[derive(Debug)]
pub struct Progress {
    name: String,
    size: Option<u64>,
    started_at: Instant,
    offset: u64,
    bytes: AtomicU64,
    is_moving: AtomicBool,
    is_over: AtomicBool,
}

/// Sets a [`Progress`]; that is over when this is dropped.
#[derive(Debug)]
pub(crate) struct ProgressMeter {
    progress: Option<Arc<Progress>>,
    /// The meter of which this file is a part.
    total: Option<TotalProgressMeter>,
    /// Where the content begins that is moved now.
    offset: u64,
}

/// Sets the progress of several files together. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct TotalProgressMeter(Arc<Mutex<(ProgressMeter, u64)>>);

impl Progress {
    /// What it is called: a path, or how many files. Not fit for a terminal as it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of all of it; `None` where that is not known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// When it began.
    #[must_use]
    pub fn started_at(&self) -> Instant {
        self.started_at
    }

    /// How many of its bytes were there when it began.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many of its bytes are there. Never goes back.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Whether any have come started_at it began.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.is_moving.load(Ordering::Acquire)
    }

    /// Whether nothing follows.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

impl ProgressMeter {
    /// For a file of which `offset` bytes are there, and its progress.
    pub(crate) fn new(name: &str, size: Option<u64>, offset: u64) -> (Self, Arc<Progress>) {
        let progress = Arc::new(Progress {
            name: name.to_owned(),
            size,
            started_at: Instant::now(),
            offset,
            bytes: AtomicU64::new(offset),
            is_moving: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        (Self { progress: Some(progress.clone()), total: None, offset }, progress)
    }

    /// So many bytes are there.
    pub(crate) fn set(&mut self, bytes: u64) {
        if let Some(total) = &self.total {
            // What was begun anew counts once.
            let new = bytes.saturating_sub(self.offset);
            self.offset += new;
            return total.grow(new);
        }
        if let Some(progress) = &self.progress {
            progress.bytes.fetch_max(bytes, Ordering::AcqRel);
            progress.is_moving.store(true, Ordering::Release);
        }
    }
}

impl TotalProgressMeter {
    /// For several files of `bytes` bytes together, and their progress.
    pub(crate) fn new(name: &str, bytes: u64) -> (Self, Arc<Progress>) {
        let (meter, progress) = ProgressMeter::new(name, Some(bytes), 0);
        (Self(Arc::new(Mutex::new((meter, 0)))), progress)
    }

    /// One of the files, of which `offset` bytes are there already.
    pub(crate) fn part(&self, offset: u64) -> ProgressMeter {
        self.grow(offset);
        ProgressMeter { progress: None, total: Some(self.clone()), offset }
    }

    /// So many bytes more are there.
    pub(crate) fn grow(&self, bytes: u64) {
        let mut held = self.0.lock();
        let (meter, sum) = &mut *held;
        *sum += bytes;
        let sum = *sum;
        meter.set(sum);
    }
}

impl Drop for ProgressMeter {
    fn drop(&mut self) {
        if let Some(progress) = &self.progress {
            progress.is_over.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_counts_what_was_there_and_what_comes_once() {
        let (total, progress) = TotalProgressMeter::new("2 files", 100);
        let mut part = total.part(10);
        part.set(30);
        part.set(20);
        assert_eq!((progress.bytes(), progress.is_over()), (30, false));
        drop(part);
        total.grow(70);
        assert_eq!(progress.bytes(), 100);
        drop(total);
        assert!(progress.is_over());
    }
}
