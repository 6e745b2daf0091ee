//! Where the time of a transfer goes, at one end: what it waited for, and whether the thread that moves it
//! was ever free. Looked at a few times for each step on another thread, never for each chunk; a short transfer costs a handful
//! of looks at the clock.

use std::time::{Duration, Instant};

use quiver_protocol::Bottleneck;

use crate::unix::{self, ThreadTime};

/// A thread that has something to do for so much of the time is what all its work waits for.
const BUSY: f64 = 0.85;

/// What is over sooner is not worth a word, and too little to judge by.
pub(crate) const WORTH_A_WORD: Duration = Duration::from_millis(100);

/// Where the time of a transfer went, at this end.
#[derive(Debug, Clone, Copy)]
pub struct TransferTimings {
    began: Instant,
    /// Waited for files, or for the pipe in their place.
    disk: Duration,
    is_pipe: bool,
    /// Waited for other threads to hash and to frame.
    hashing: Duration,
    /// `None` while the transfer is young.
    thread: Option<ThreadLoad>,
    /// How long that thread had something to do while the content moved; `None` where that is not known.
    busy: Option<Duration>,
}

/// Watches how much the thread that it was made on has to do: the one that drives QUIC.
#[derive(Debug, Clone, Copy)]
pub struct ThreadLoad {
    since: Instant,
    before: Option<ThreadTime>,
}

/// What the time of a step on another thread was spent on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DiskAccess {
    began: Instant,
    disk: Duration,
    ended: Instant,
}

impl TransferTimings {
    /// A transfer begins.
    pub(crate) fn begin() -> Self {
        let (disk, hashing) = (Duration::ZERO, Duration::ZERO);
        let (is_pipe, thread, busy) = (false, None, None);
        Self { began: Instant::now(), disk, is_pipe, hashing, thread, busy }
    }

    /// What is taken for a disk is a pipe.
    #[must_use]
    pub fn of_pipe(self) -> Self {
        Self { is_pipe: true, ..self }
    }

    /// Comes by now and then, on the thread that drives QUIC.
    pub(crate) fn look(&mut self) {
        if self.thread.is_none() && self.began.elapsed() >= WORTH_A_WORD {
            self.thread = Some(ThreadLoad::start());
        }
    }

    /// The transfer could do nothing, from `since` on, until a step had ended.
    pub(crate) fn waited(&mut self, since: Instant, access: &DiskAccess) {
        // What comes after its end is the way back, and the thread's own business.
        let waited = access.ended.saturating_duration_since(since);
        let disk = waited.mul_f64(access.share_of_disk());
        self.disk += disk;
        self.hashing += waited.saturating_sub(disk);
    }

    /// All content has moved: what the thread does from here on does not count.
    pub(crate) fn moved(&mut self) {
        let busy = self.thread.as_ref().and_then(ThreadLoad::busy);
        // As it was while it was watched, so it was before.
        self.busy = busy.map(|busy| self.began.elapsed().mul_f64(busy));
    }

    /// A disk was waited for, after or before the content moved: as for a flush.
    pub fn flushed(&mut self, waited: Duration) {
        self.disk += waited;
    }

    /// How long it is since the transfer began.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// What held this end back, of a transfer that took so long; `None` where that cannot be told.
    #[must_use]
    pub fn bottleneck(&self, took: Duration) -> Option<Bottleneck> {
        if took < WORTH_A_WORD {
            return None;
        }
        let share = |time: Duration| time.as_secs_f64() / took.as_secs_f64();
        let (disk, hashing) = (share(self.disk), share(self.hashing));
        if disk >= 0.5 {
            return Some(if self.is_pipe { Bottleneck::Pipe } else { Bottleneck::Disk });
        }
        if hashing >= 0.5 {
            return Some(Bottleneck::Processor);
        }
        let busy = share(self.busy?);
        // A thread that is often free waits itself, and there is nobody left to wait for but the other end
        // and the way there.
        if busy >= BUSY {
            Some(Bottleneck::Processor)
        } else if busy <= 0.7 && disk + hashing <= 0.3 {
            Some(Bottleneck::Network)
        } else {
            None
        }
    }
}

impl ThreadLoad {
    /// From now on, on this thread. Takes some microseconds.
    #[must_use]
    pub fn start() -> Self {
        Self { since: Instant::now(), before: unix::thread_time() }
    }

    /// For how much of the time, from 0 to 1, the thread had something to do: it worked, or waited for its
    /// turn to. `None` where the system does not tell, where this is another thread, and too soon.
    #[must_use]
    pub fn busy(&self) -> Option<f64> {
        let took = self.since.elapsed();
        if took < WORTH_A_WORD {
            return None;
        }
        let busy = unix::thread_time()?.since(self.before?)?;
        Some((busy.as_secs_f64() / took.as_secs_f64()).min(1.0))
    }

    /// Whether it hardly ever had nothing to do, as far as that can be told.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.busy().is_some_and(|busy| busy >= BUSY)
    }
}

impl DiskAccess {
    /// It begins now, on the thread that runs the step.
    pub(crate) fn begin() -> Self {
        let now = Instant::now();
        Self { began: now, disk: Duration::ZERO, ended: now }
    }

    /// Something that waits for a disk, as a part of it.
    pub(crate) fn on_disk<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let result = work();
        self.disk += began.elapsed();
        result
    }

    pub(crate) fn end(&mut self) {
        self.ended = Instant::now();
    }

    fn share_of_disk(&self) -> f64 {
        let took = self.ended.saturating_duration_since(self.began);
        let share = self.disk.as_secs_f64() / took.as_secs_f64();
        // A step that took no time waited for no disk.
        if share.is_finite() { share.min(1.0) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests;
