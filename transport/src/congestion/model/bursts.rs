//! How much more is acknowledged at once than the delivery rate explains.
//!
//! Some links and receivers collect acknowledgements, and deliver several milliseconds of them at
//! once. Meanwhile as much must be in flight in addition, or the link idles. Source:
//! draft-ietf-ccwg-bbr, 5.5.9 (extra_acked).

use std::time::{Duration, Instant};

use super::filter::RoundMax;

/// Rounds in which the largest burst counts, as in draft-ietf-ccwg-bbr (ExtraAckedFilterLen).
const ROUNDS: u64 = 10;

/// A burst counts as at most what the rate explains in so long. Otherwise a receiver that pauses again and again would raise
/// the window each time, which is then the next burst. As in Linux (bbr_extra_acked_max_us).
const LONGEST: Duration = Duration::from_millis(100);

/// The largest burst of the last rounds.
#[derive(Debug, Clone)]
pub(super) struct Bursts {
    /// Start of the present interval, in which more was acknowledged than the rate explains.
    start: Instant,
    acked: f64,
    largest: RoundMax,
}

impl Bursts {
    pub(super) fn new(now: Instant) -> Self {
        Self { start: now, acked: 0.0, largest: RoundMax::new(ROUNDS) }
    }

    /// Adds acknowledged bytes. A burst counts as at most `limit` bytes.
    pub(super) fn add(&mut self, now: Instant, rate: f64, acked: f64, round: u64, limit: f64) {
        let mut expected = rate * now.saturating_duration_since(self.start).as_secs_f64();
        if self.acked <= expected {
            (self.start, self.acked, expected) = (now, 0.0, 0.0);
        }
        self.acked += acked;
        let limit = limit.min(rate * LONGEST.as_secs_f64());
        self.largest.insert(round, (self.acked - expected).min(limit));
    }

    /// Bytes of the largest burst.
    pub(super) fn largest(&self) -> f64 {
        self.largest.get()
    }
}
