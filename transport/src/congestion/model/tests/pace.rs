//! Credit of the pace.

use std::time::{Duration, Instant};

use super::{ms, secs};
use crate::congestion::model::pace::Pace;

/// Bytes per second.
const RATE: f64 = 1e6;
const BURST: Duration = Duration::from_millis(10);
const MINIMUM: f64 = 5000.0;

#[test]
fn credit_is_earned_at_the_rate_up_to_a_burst() {
    let start = Instant::now();
    let mut pace = Pace::new(start);
    pace.refill(start + ms(4), RATE, BURST, MINIMUM);
    assert!((pace.credit() - 4000.0).abs() < 1.0, "{}", pace.credit());
    pace.refill(start + secs(1), RATE, BURST, MINIMUM);
    assert!((pace.credit() - 10_000.0).abs() < 1.0, "{}", pace.credit());
}

#[test]
fn a_slow_rate_may_keep_the_minimum() {
    let start = Instant::now();
    let mut pace = Pace::new(start);
    pace.refill(start + secs(10), 1000.0, BURST, MINIMUM);
    assert!((pace.credit() - MINIMUM).abs() < 1.0, "{}", pace.credit());
}

#[test]
fn debt_is_paid_before_there_is_credit() {
    let start = Instant::now();
    let mut pace = Pace::new(start);
    pace.spend(3000.0);
    assert!(pace.credit().abs() < 1.0, "{}", pace.credit());
    pace.refill(start + ms(4), RATE, BURST, MINIMUM);
    assert!((pace.credit() - 1000.0).abs() < 1.0, "{}", pace.credit());
}

#[test]
fn a_cleared_pace_has_neither_credit_nor_debt() {
    let start = Instant::now();
    let mut pace = Pace::new(start);
    pace.spend(3000.0);
    pace.clear(start + secs(1));
    pace.refill(start + secs(1) + ms(1), RATE, BURST, MINIMUM);
    assert!((pace.credit() - 1000.0).abs() < 1.0, "{}", pace.credit());
}
