//! The progress of a file: numbers that a transfer sets, and that an interface reads at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

/// The progress of a file, or of all files of a transfer.
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

/// Updates a [`Progress`], and marks it as over when dropped.
#[derive(Debug)]
pub struct ProgressMeter {
    progress: Option<Arc<Progress>>,
    /// The meter of all files, if this is one of several.
    total: Option<TotalProgressMeter>,
    /// The bytes of the file that are counted in `total`.
    offset: u64,
}

/// Updates the common progress of several files. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct TotalProgressMeter(Arc<Mutex<(ProgressMeter, u64)>>);

impl Progress {
    /// The name: a path, or the number of files. Not escaped for a terminal.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The size in bytes; `None` if it is not known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// When the transfer of the content started.
    #[must_use]
    pub fn started_at(&self) -> Instant {
        self.started_at
    }

    /// The bytes that were stored before the start.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes that are stored. Never decreases.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Whether any bytes were stored since the start.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.is_moving.load(Ordering::Acquire)
    }

    /// Whether the transfer of the content has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

impl ProgressMeter {
    /// Creates a meter for a file with `offset` bytes stored, and its progress.
    #[must_use]
    pub fn new(name: &str, size: Option<u64>, offset: u64) -> (Self, Arc<Progress>) {
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

    /// Sets the number of stored bytes.
    pub fn set(&mut self, bytes: u64) {
        if let Some(total) = &self.total {
            // Bytes of a file that starts over count once.
            let new = bytes.saturating_sub(self.offset);
            self.offset += new;
            return total.add(new);
        }
        if let Some(progress) = &self.progress {
            progress.bytes.fetch_max(bytes, Ordering::AcqRel);
            progress.is_moving.store(true, Ordering::Release);
        }
    }
}

impl TotalProgressMeter {
    /// Creates a meter for several files with `bytes` bytes in total, and their progress.
    pub(crate) fn new(name: &str, bytes: u64) -> (Self, Arc<Progress>) {
        let (meter, progress) = ProgressMeter::new(name, Some(bytes), 0);
        (Self(Arc::new(Mutex::new((meter, 0)))), progress)
    }

    /// Creates the meter of one of the files, with `offset` bytes stored.
    pub(crate) fn file(&self, offset: u64) -> ProgressMeter {
        self.add(offset);
        ProgressMeter { progress: None, total: Some(self.clone()), offset }
    }

    /// Adds newly stored bytes.
    pub(crate) fn add(&self, bytes: u64) {
        let mut guard = self.0.lock();
        let (meter, sum) = &mut *guard;
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
    fn a_total_counts_stored_and_transferred_bytes_once() {
        let (total, progress) = TotalProgressMeter::new("2 files", 100);
        let mut file = total.file(10);
        file.set(30);
        file.set(20);
        assert_eq!((progress.bytes(), progress.is_over()), (30, false));
        drop(file);
        total.add(70);
        assert_eq!(progress.bytes(), 100);
        drop(total);
        assert!(progress.is_over());
    }
}
