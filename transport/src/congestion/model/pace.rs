//! Pacing through the window.
//!
//! quinn sends as long as its bytes in flight are below the window, and at most 1.25 windows a round
//! trip; a controller cannot set a rate. But acknowledgements arrive all the time while content is
//! sent: so at each of them the window becomes what is in flight plus what the rate has earned
//! since, and the acknowledgements act as the timer. What quinn paces beyond that smooths the rest.

use std::time::{Duration, Instant};

/// Bytes that may be sent: earned at a rate, spent by sending.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    credit: f64,
    refilled: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { credit: 0.0, refilled: now }
    }

    /// Adds what `rate`, in bytes per second, has earned since the last time. At most what it earns
    /// in `burst` is kept, and at least `minimum` bytes may be kept.
    pub(super) fn refill(&mut self, now: Instant, rate: f64, burst: Duration, minimum: f64) {
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        let largest = (rate * burst.as_secs_f64()).max(minimum);
        self.credit = (self.credit + rate * elapsed).min(largest);
        self.refilled = now;
    }

    /// Bytes that may be sent now.
    pub(super) fn credit(&self) -> f64 {
        self.credit.max(0.0)
    }

    /// Takes sent bytes from the credit. A debt remains, because lost packets may be replaced before
    /// the next refill.
    pub(super) fn spend(&mut self, bytes: f64) {
        self.credit -= bytes;
    }

    /// Gives back what was taken for bytes that are not paced.
    pub(super) fn refund(&mut self, bytes: f64) {
        self.credit += bytes;
    }

    /// Forgets credit and debt.
    pub(super) fn clear(&mut self, now: Instant) {
        *self = Self::new(now);
    }
}
