//! Bursts of acknowledgements.

use std::time::Instant;

use super::ms;
use crate::congestion::model::bursts::Bursts;

/// Bytes per second.
const RATE: f64 = 1e6;
const LIMIT: f64 = 1e6;

#[test]
fn acknowledgements_at_the_rate_are_no_burst() {
    let start = Instant::now();
    let mut bursts = Bursts::new(start);
    for step in 1..=100 {
        bursts.add(start + ms(step), RATE, 1000.0, 0, LIMIT);
    }
    // The first of an interval counts alone.
    assert!(bursts.largest() <= 1001.0, "{}", bursts.largest());
}

#[test]
fn a_burst_is_what_the_rate_does_not_explain() {
    let start = Instant::now();
    let mut bursts = Bursts::new(start);
    bursts.add(start + ms(20), RATE, 20_000.0, 0, LIMIT);
    bursts.add(start + ms(40), RATE, 20_000.0, 0, LIMIT);
    assert!((bursts.largest() - 20_000.0).abs() < 1.0, "{}", bursts.largest());
}

#[test]
fn a_burst_is_limited_and_forgotten_after_10_rounds() {
    let start = Instant::now();
    let mut bursts = Bursts::new(start);
    bursts.add(start + ms(20), RATE, 50_000.0, 0, 30_000.0);
    assert!((bursts.largest() - 30_000.0).abs() < 1.0, "{}", bursts.largest());
    bursts.add(start + ms(1000), RATE, 1000.0, 9, LIMIT);
    assert!(bursts.largest() > 29_000.0, "{}", bursts.largest());
    bursts.add(start + ms(2000), RATE, 1000.0, 10, LIMIT);
    assert!(bursts.largest() < 1001.0, "{}", bursts.largest());
}

#[test]
fn a_burst_counts_as_at_most_a_tenth_of_a_second() {
    let start = Instant::now();
    let mut bursts = Bursts::new(start);
    bursts.add(start + ms(1000), RATE, 500_000.0, 0, LIMIT);
    assert!((bursts.largest() - 100_000.0).abs() < 1.0, "{}", bursts.largest());
}
