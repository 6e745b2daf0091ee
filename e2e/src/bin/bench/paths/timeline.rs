//! How much a flow has received, over time. Pure.

use std::time::Duration;

/// Bytes received until each of some times, both increasing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timeline(Vec<(Duration, u64)>);

impl Timeline {
    /// Adds the bytes received until a time that is not before the last one.
    pub(crate) fn push(&mut self, at: Duration, bytes: u64) {
        self.0.push((at, bytes));
    }

    /// The bytes received until a time.
    pub(crate) fn bytes_until(&self, at: Duration) -> u64 {
        let index = self.0.partition_point(|(time, _)| *time <= at);
        index.checked_sub(1).map_or(0, |index| self.0[index].1)
    }

    /// The mean rate between two times, in bit/s.
    pub(crate) fn rate(&self, from: Duration, until: Duration) -> f64 {
        let bytes = self.bytes_until(until) - self.bytes_until(from);
        bytes as f64 * 8.0 / (until - from).as_secs_f64()
    }

    /// The longest time without anything received, between two times.
    pub(crate) fn longest_pause(&self, from: Duration, until: Duration) -> Duration {
        let mut last = (from, self.bytes_until(from));
        let mut longest = Duration::ZERO;
        let inside = self.0.iter().filter(|(at, _)| (from..until).contains(at));
        for &(at, bytes) in inside {
            if bytes > last.1 {
                longest = longest.max(at - last.0);
                last = (at, bytes);
            }
        }
        longest.max(until - last.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_pauses_are_those_between_two_times() {
        let ms = Duration::from_millis;
        let mut timeline = Timeline::default();
        for (at, bytes) in [(0, 0), (10, 1000), (20, 2000), (60, 2000), (70, 3000)] {
            timeline.push(ms(at), bytes);
        }
        assert_eq!(timeline.bytes_until(ms(15)), 1000);
        assert_eq!(timeline.bytes_until(ms(100)), 3000);
        assert!((timeline.rate(ms(0), ms(20)) - 800_000.0).abs() < 1e-6);
        assert_eq!(timeline.longest_pause(ms(0), ms(80)), ms(50));
        assert_eq!(timeline.longest_pause(ms(0), ms(200)), ms(130));
        assert_eq!(Timeline::default().longest_pause(ms(0), ms(5)), ms(5));
    }
}
