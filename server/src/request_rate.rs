//! A limit on how often something is requested within a minute. Has no clock: the time is passed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The interval of the limit.
const INTERVAL: Duration = Duration::from_secs(60);

/// The requests of the last minute, of which only so many are allowed.
#[derive(Debug)]
pub struct RequestRate {
    limit: usize,
    /// When the allowed requests were made, oldest first.
    recent: VecDeque<Instant>,
}

impl RequestRate {
    /// Allows `limit` requests within any minute.
    #[must_use]
    pub fn per_minute(limit: usize) -> Self {
        Self { limit, recent: VecDeque::new() }
    }

    /// Counts a request at `now`, if it is allowed. Returns whether it is.
    pub fn admit(&mut self, now: Instant) -> bool {
        while self.recent.front().is_some_and(|at| now.saturating_duration_since(*at) >= INTERVAL) {
            self.recent.pop_front();
        }
        let is_admitted = self.recent.len() < self.limit;
        if is_admitted {
            self.recent.push_back(now);
        }
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_the_last_minute_count_and_refused_ones_do_not() {
        let mut rate = RequestRate::per_minute(3);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(rate.admit(at(0)) && rate.admit(at(10)) && rate.admit(at(20)));
        assert!(!rate.admit(at(30)) && !rate.admit(at(59)));
        assert!(rate.admit(at(60)), "the first one is a minute old");
        assert!(!rate.admit(at(69)));
        assert!(rate.admit(at(70)));
        assert_eq!(rate.recent.len(), 3);
    }
}
