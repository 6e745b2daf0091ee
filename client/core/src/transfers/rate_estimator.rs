//! Estimates the rate of the last seconds from a few samples. Reads no clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The rate is the average over this time.
const WINDOW: Duration = Duration::from_secs(5);

/// Minimum time between two samples.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);

/// What comes so soon after a sample belongs to it: it was received at once, and is counted in pieces.
const BURST: Duration = Duration::from_millis(50);

/// Content comes in bursts: the time since the last one counts only if it is longer than that between bursts.
const MAX_BURST_INTERVAL: Duration = Duration::from_secs(2);

/// A rate over less time would say little.
const MIN_SPAN: Duration = Duration::from_secs(1);

/// Samples of a number of transferred bytes, which never decreases.
#[derive(Debug, Default)]
pub(crate) struct RateEstimator {
    /// One sample from before the window, if there is one, and those within.
    samples: VecDeque<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    transferred: u64,
}

impl RateEstimator {
    /// Records that `transferred` bytes were transferred by now. The first sample is the start: what it counts was
    /// transferred before.
    pub(crate) fn record(&mut self, now: Instant, transferred: u64) {
        match self.samples.back_mut() {
            Some(last) if now.duration_since(last.at) < BURST => {
                last.transferred = transferred;
                return;
            }
            Some(last) if now.duration_since(last.at) < SAMPLE_INTERVAL => return,
            // A pause or a lost connection: the time until now says nothing about the rate after it.
            Some(last) if now.duration_since(last.at) > WINDOW => self.samples.clear(),
            _ => {}
        }
        self.samples.push_back(Sample { at: now, transferred });
        while self.samples.get(1).is_some_and(|second| now.duration_since(second.at) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    /// The rate in bytes per second, if `transferred` bytes are transferred by now; `None` until enough time has
    /// passed.
    pub(crate) fn rate(&self, now: Instant, transferred: u64) -> Option<u64> {
        let last = *self.samples.back()?;
        let silence = now.duration_since(last.at);
        if silence > WINDOW {
            return Some(0);
        }
        let end = if silence < MAX_BURST_INTERVAL { last } else { Sample { at: now, transferred } };
        let is_before_window = |sample: &&Sample| now.duration_since(sample.at) >= WINDOW;
        let start =
            self.samples.iter().take_while(is_before_window).last().or(self.samples.front())?;
        let took = end.at.duration_since(start.at);
        if took < MIN_SPAN {
            return None;
        }
        let bytes = u128::from(end.transferred.saturating_sub(start.transferred));
        u64::try_from(bytes * 1_000_000_000 / took.as_nanos()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    /// Records steps of 100 ms with these bytes each; returns the time and the bytes at the end.
    fn run(
        estimator: &mut RateEstimator,
        (mut now, mut transferred): (Instant, u64),
        steps: u64,
        bytes: u64,
    ) -> (Instant, u64) {
        for _ in 0..steps {
            now += Duration::from_millis(100);
            transferred += bytes;
            estimator.record(now, transferred);
        }
        (now, transferred)
    }

    fn rate(estimator: &RateEstimator, (now, transferred): (Instant, u64)) -> Option<u64> {
        estimator.rate(now, transferred)
    }

    #[test]
    fn there_is_no_rate_before_there_is_something_to_show() {
        let mut estimator = RateEstimator::default();
        let start = (Instant::now(), 0);
        assert_eq!(rate(&estimator, start), None);
        let after = run(&mut estimator, start, 10, MB);
        assert_eq!(rate(&estimator, after), None, "900 ms");
        let after = run(&mut estimator, after, 3, MB);
        assert_eq!(rate(&estimator, after), Some(10 * MB));
    }

    #[test]
    fn what_the_first_sample_counts_was_transferred_before() {
        let mut estimator = RateEstimator::default();
        let start = Instant::now();
        estimator.record(start, 500 * MB);
        let after = run(&mut estimator, (start, 500 * MB), 20, MB);
        assert_eq!(rate(&estimator, after), Some(10 * MB));
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut estimator = RateEstimator::default();
        let slow = run(&mut estimator, (Instant::now(), 0), 100, MB);
        assert_eq!(rate(&estimator, slow), Some(10 * MB));
        let fast = run(&mut estimator, slow, 60, 5 * MB);
        assert_eq!(rate(&estimator, fast), Some(50 * MB));
        assert!(estimator.samples.len() < 25, "{}", estimator.samples.len());
    }

    #[test]
    fn the_time_since_the_last_burst_does_not_lower_the_rate() {
        let mut estimator = RateEstimator::default();
        let (mut now, mut transferred) = (Instant::now(), 0);
        for _ in 0..20 {
            now += Duration::from_millis(500);
            for piece in 0..4 {
                transferred += MB / 4;
                estimator.record(now + piece * Duration::from_millis(5), transferred);
            }
        }
        let later = now + Duration::from_millis(499);
        assert_eq!(rate(&estimator, (later, transferred)), Some(2 * MB));
    }

    #[test]
    fn a_stalled_transfer_slows_down_to_zero() {
        let mut estimator = RateEstimator::default();
        let (now, transferred) = run(&mut estimator, (Instant::now(), 0), 100, MB);
        let after = |seconds| rate(&estimator, (now + Duration::from_secs(seconds), transferred));
        assert!(after(3).is_some_and(|rate| rate < 6 * MB && rate > 2 * MB), "{:?}", after(3));
        assert_eq!(after(6), Some(0));
    }

    #[test]
    fn a_pause_does_not_count() {
        let mut estimator = RateEstimator::default();
        let (now, transferred) = run(&mut estimator, (Instant::now(), 0), 30, MB);
        let resumed = (now + Duration::from_secs(60), transferred);
        let after = run(&mut estimator, resumed, 5, MB);
        assert_eq!(rate(&estimator, after), None);
        let after = run(&mut estimator, after, 10, MB);
        assert_eq!(rate(&estimator, after), Some(10 * MB));
    }
}
