//! The detection of a rate that has fallen.

use std::time::{Duration, Instant};

use super::ms;
use crate::congestion::model::fall::FallDetector;

const LOWEST: Duration = Duration::from_millis(100);

/// The known rate, in bytes per second.
const RATE: f64 = 1e6;

/// What the detector says at the end of each slice, whose rates in bytes per second and delays are given.
fn detect(slices: &[(f64, bool)]) -> Vec<Option<f64>> {
    let mut now = Instant::now();
    let mut detector = FallDetector::new(now);
    let mut said = Vec::new();
    for (rate, is_delayed) in slices {
        for _ in 0..9 {
            now += ms(10);
            let early = detector.add(now, rate / 100.0, *is_delayed, RATE, LOWEST);
            assert_eq!(early, None, "within a slice");
        }
        now += ms(10);
        let fallen = detector.add(now, rate / 100.0, *is_delayed, RATE, LOWEST);
        said.push(fallen.map(f64::round));
    }
    said
}

#[test]
fn three_slow_slices_with_a_queue_are_a_fall_to_the_rate_of_the_last_two() {
    let said = detect(&[(RATE, true), (7e5, true), (2.5e5, true), (2.4e5, true), (2e5, true)]);
    assert_eq!(said, [None, None, None, Some(2.5e5), None]);
}

#[test]
fn a_slice_at_the_known_rate_ends_the_sequence() {
    let said = detect(&[(5e5, true), (5e5, true), (9.5e5, true), (5e5, true), (5e5, true)]);
    assert_eq!(said, [None; 5]);
}

#[test]
fn slices_without_a_queue_say_nothing_of_the_rate() {
    assert_eq!(detect(&[(5e5, false); 5]), [None; 5]);
}
