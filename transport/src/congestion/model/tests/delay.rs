//! The detection of a growing queue.

use std::time::{Duration, Instant};

use super::ms;
use crate::congestion::model::delay::DelayDetector;

const LOWEST: Duration = Duration::from_millis(100);

/// Whether a slice of 30 ms with these round-trip times, in milliseconds, counts as delayed.
fn is_delayed(round_trips: &[u64]) -> bool {
    let start = Instant::now();
    let mut detector = DelayDetector::new(start);
    let last = round_trips.len() - 1;
    for round_trip in &round_trips[..last] {
        assert!(!detector.add(start + ms(1), ms(*round_trip), LOWEST), "within a slice");
    }
    detector.add(start + ms(30), ms(round_trips[last]), LOWEST)
}

#[test]
fn a_slice_in_which_every_packet_was_late_is_delayed() {
    assert!(is_delayed(&[113; 8]));
}

#[test]
fn one_packet_in_time_makes_a_slice_undelayed() {
    assert!(!is_delayed(&[113, 113, 113, 112, 113, 113, 113, 113]));
}

#[test]
fn few_packets_are_not_judged() {
    assert!(!is_delayed(&[200; 7]));
}
