//! Notices within a fraction of a round trip that a queue grows.

use std::time::{Duration, Instant};

/// A slice of time lasts at least this part of the lowest round trip: the start-up doubles what is
/// in flight within a round trip, so a whole one would be too late.
const SLICES: u32 = 8;

/// A slice has at least this many samples, so that one that was late alone does not count
/// (`N_RTT_SAMPLE` of RFC 9406).
const SAMPLES: u32 = 8;

/// A round-trip time is delayed if it is longer than the lowest by an eighth, within these bounds
/// (RFC 9406, 4.2, with the same three values).
const THRESHOLD_PART: u32 = 8;
const LEAST_THRESHOLD: Duration = Duration::from_millis(4);
const LARGEST_THRESHOLD: Duration = Duration::from_millis(16);

/// The lowest round-trip time of the present slice of time.
#[derive(Debug, Clone)]
pub(super) struct DelayDetector {
    start: Instant,
    samples: u32,
    lowest: Duration,
}

impl DelayDetector {
    pub(super) fn new(now: Instant) -> Self {
        Self { start: now, samples: 0, lowest: Duration::MAX }
    }

    /// Adds a sample; `lowest` is the lowest round-trip time of the path. True if this ends a slice in
    /// which every packet was delayed.
    pub(super) fn add(&mut self, now: Instant, round_trip: Duration, lowest: Duration) -> bool {
        self.samples += 1;
        self.lowest = self.lowest.min(round_trip);
        if now < self.start + lowest / SLICES || self.samples < SAMPLES {
            return false;
        }
        let threshold = (lowest / THRESHOLD_PART).clamp(LEAST_THRESHOLD, LARGEST_THRESHOLD);
        let is_delayed = self.lowest > lowest + threshold;
        *self = Self::new(now);
        is_delayed
    }
}
