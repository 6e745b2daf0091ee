//! Where one end of a transfer spends its time: what it waits for, and how busy the thread that
//! drives QUIC is. Measured a few times for each step on another thread, never for each chunk; a
//! short transfer reads the clock only a handful of times.

use std::time::{Duration, Instant};

use quiver_protocol::Bottleneck;

use crate::unix::{self, ThreadTime};

/// Share of the time above which a busy thread limits all transfers that it drives.
const BUSY_SHARE: f64 = 0.85;

/// Shorter transfers are not judged: there is too little to measure.
pub(crate) const MIN_MEASURED: Duration = Duration::from_millis(100);

/// Where the time of a transfer was spent, at this end.
#[derive(Debug, Clone, Copy)]
pub struct TransferTimings {
    started: Instant,
    /// Time waiting for files, or for a pipe.
    disk: Duration,
    is_pipe: bool,
    /// Time waiting for other threads to hash and to frame.
    hashing: Duration,
    /// `None` until the transfer has run for [`MIN_MEASURED`].
    thread: Option<ThreadLoad>,
    /// How long the thread that drives QUIC was busy while content was transferred; `None` if
    /// unknown.
    busy: Option<Duration>,
}

/// Measures how busy the thread is on which it was started: the one that drives QUIC.
#[derive(Debug, Clone, Copy)]
pub struct ThreadLoad {
    started: Instant,
    initial: Option<ThreadTime>,
}

/// How the time of a step on another thread was spent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DiskAccess {
    started: Instant,
    disk: Duration,
    ended: Instant,
}

impl TransferTimings {
    /// Starts with the transfer.
    pub(crate) fn start() -> Self {
        let (disk, hashing) = (Duration::ZERO, Duration::ZERO);
        let (is_pipe, thread, busy) = (false, None, None);
        Self { started: Instant::now(), disk, is_pipe, hashing, thread, busy }
    }

    /// Reports waits for the disk as waits for a pipe.
    #[must_use]
    pub fn for_pipe(self) -> Self {
        Self { is_pipe: true, ..self }
    }

    /// Called regularly on the thread that drives QUIC.
    pub(crate) fn sample_thread(&mut self) {
        if self.thread.is_none() && self.started.elapsed() >= MIN_MEASURED {
            self.thread = Some(ThreadLoad::start());
        }
    }

    /// Records that the transfer waited for a step from `wait_started` on.
    pub(crate) fn record_wait(&mut self, wait_started: Instant, access: &DiskAccess) {
        // The time after the step's end is the thread's own delay.
        let waited = access.ended.saturating_duration_since(wait_started);
        let disk = waited.mul_f64(access.disk_share());
        self.disk += disk;
        self.hashing += waited.saturating_sub(disk);
    }

    /// Ends the measurement of the thread: all content was transferred.
    pub(crate) fn end_content(&mut self) {
        let busy = self.thread.as_ref().and_then(ThreadLoad::busy_share);
        // The load before the measurement started is assumed to be the same.
        self.busy = busy.map(|busy| self.started.elapsed().mul_f64(busy));
    }

    /// Records a wait for the disk before or after the content was transferred, as for a flush.
    pub fn record_flush(&mut self, waited: Duration) {
        self.disk += waited;
    }

    /// Time since the transfer started.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// What limited this end of a transfer that took `duration`; `None` if that is unknown.
    #[must_use]
    pub fn bottleneck(&self, duration: Duration) -> Option<Bottleneck> {
        if duration < MIN_MEASURED {
            return None;
        }
        let share = |time: Duration| time.as_secs_f64() / duration.as_secs_f64();
        let (disk, hashing) = (share(self.disk), share(self.hashing));
        if disk >= 0.5 {
            return Some(if self.is_pipe { Bottleneck::Pipe } else { Bottleneck::Disk });
        }
        if hashing >= 0.5 {
            return Some(Bottleneck::Processor);
        }
        let busy = share(self.busy?);
        // A thread that is often idle waits for the network or for the other end.
        if busy >= BUSY_SHARE {
            Some(Bottleneck::Processor)
        } else if busy <= 0.7 && disk + hashing <= 0.3 {
            Some(Bottleneck::Network)
        } else {
            None
        }
    }
}

impl ThreadLoad {
    /// Starts measuring the current thread. Takes some microseconds.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now(), initial: unix::thread_time() }
    }

    /// The share of the time, from 0 to 1, in which the thread ran or waited for a processor.
    /// `None` if the system does not report it, if this is another thread, or if too little time
    /// has passed.
    #[must_use]
    pub fn busy_share(&self) -> Option<f64> {
        let elapsed = self.started.elapsed();
        if elapsed < MIN_MEASURED {
            return None;
        }
        let busy = unix::thread_time()?.busy_since(self.initial?)?;
        Some((busy.as_secs_f64() / elapsed.as_secs_f64()).min(1.0))
    }

    /// Whether the thread was busy nearly all of the time, as far as that is known.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.busy_share().is_some_and(|busy| busy >= BUSY_SHARE)
    }
}

impl DiskAccess {
    /// Starts with the step, on the thread that runs it.
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Self { started: now, disk: Duration::ZERO, ended: now }
    }

    /// Measures a part of the step that waits for the disk.
    pub(crate) fn time_disk<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = work();
        self.disk += started.elapsed();
        result
    }

    pub(crate) fn finish(&mut self) {
        self.ended = Instant::now();
    }

    fn disk_share(&self) -> f64 {
        let elapsed = self.ended.saturating_duration_since(self.started);
        let share = self.disk.as_secs_f64() / elapsed.as_secs_f64();
        // A step without a duration did not wait for the disk.
        if share.is_finite() { share.min(1.0) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests;
