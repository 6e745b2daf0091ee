//! The largest value of the last seconds.

use std::time::{Duration, Instant};

/// A value counts for at least this long, and at most twice as long: longer than a lost packet needs to arrive, also if
/// it is lost again on a long path.
const LIFETIME: Duration = Duration::from_secs(1);

/// The largest of the values that were added since the period before the present one.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecentPeak {
    start: Instant,
    largest: u64,
    previous_largest: u64,
}

impl RecentPeak {
    pub(super) fn new(now: Instant, value: u64) -> Self {
        Self { start: now, largest: value, previous_largest: value }
    }

    /// Adds a value, and returns the largest recent one.
    pub(super) fn add(&mut self, now: Instant, value: u64) -> u64 {
        if now >= self.start + LIFETIME {
            *self = Self { start: now, largest: value, previous_largest: self.largest };
        }
        self.largest = self.largest.max(value);
        self.largest.max(self.previous_largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_for_one_to_two_lifetimes() {
        let start = Instant::now();
        let mut peak = RecentPeak::new(start, 5);
        let peaks: Vec<u64> = [(3, 9), (10, 4), (19, 3), (20, 2), (30, 1)]
            .map(|(tenths, value)| peak.add(start + LIFETIME * tenths / 10, value))
            .into();
        assert_eq!(peaks, [9, 9, 9, 4, 2]);
    }
}
