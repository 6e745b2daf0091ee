//! Notices that the path delivers less than before, sooner than whole rounds do.
//!
//! When the rate falls to a quarter, a queue of one bandwidth-delay product becomes four round trips long. A round
//! then takes five of them, and so does a sample of the rate: by them the new rate is known after a second.

use std::time::{Duration, Instant};

use super::path::FALLEN;

/// The rate has fallen if so many slices of a lowest round trip in sequence are low. The first of them may contain
/// some of the old rate, and the higher of the others is the new one.
const SLICES: usize = 3;

/// What is acknowledged, by slices of a lowest round trip.
#[derive(Debug, Clone)]
pub(super) struct FallDetector {
    start: Instant,
    acked: f64,
    is_delayed: bool,
    /// Rates in bytes per second of the last slices, all of them low.
    low: Vec<f64>,
}

impl FallDetector {
    pub(super) fn new(now: Instant) -> Self {
        Self { start: now, acked: 0.0, is_delayed: true, low: Vec::with_capacity(SLICES) }
    }

    /// Adds acknowledged bytes. `is_delayed`: a queue has delayed them, so that more could have been delivered. `rate`
    /// is the known rate. Returns a lower one if the path has delivered only that for some time.
    pub(super) fn add(
        &mut self,
        now: Instant,
        acked: f64,
        is_delayed: bool,
        rate: f64,
        lowest: Duration,
    ) -> Option<f64> {
        self.acked += acked;
        self.is_delayed &= is_delayed;
        let elapsed = now.saturating_duration_since(self.start);
        if elapsed < lowest || elapsed.is_zero() {
            return None;
        }
        let slice_rate = self.acked / elapsed.as_secs_f64();
        let is_low = self.is_delayed && slice_rate < FALLEN * rate;
        (self.start, self.acked, self.is_delayed) = (now, 0.0, true);
        if !is_low {
            self.low.clear();
            return None;
        }
        self.low.push(slice_rate);
        if self.low.len() < SLICES {
            return None;
        }
        self.low.drain(..).skip(1).reduce(f64::max)
    }
}
