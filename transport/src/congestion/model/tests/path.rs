//! Rounds, rates and the lowest round-trip time.

use std::time::{Duration, Instant};

use super::{ms, secs};
use crate::congestion::model::delivery_rate::Sample;
use crate::congestion::model::path::{Path, Round};

fn sample(rate: f64, delivered_at_send: u64) -> Sample {
    Sample { rate: Some(rate), round_trip: ms(50), delivered_at_send, is_app_limited: false }
}

/// Adds one round with this sample, and returns the round that it ended.
fn add_round(path: &mut Path, now: Instant, number: u64, sample: Sample) -> Option<Round> {
    path.add(now, &Sample { delivered_at_send: number * 1000, ..sample }, (number + 1) * 1000)
}

#[test]
fn a_round_ends_with_a_packet_that_was_sent_after_its_start() {
    let start = Instant::now();
    let mut path = Path::new(start);
    assert!(path.add(start, &sample(1.0, 0), 1000).is_some(), "the round before the first");
    assert!(path.add(start, &sample(1.0, 999), 2000).is_none(), "sent before");
    assert!(path.add(start, &sample(1.0, 1000), 3000).is_some(), "sent after");
}

#[test]
fn the_rate_is_the_highest_of_6_rounds() {
    let start = Instant::now();
    let mut path = Path::new(start);
    add_round(&mut path, start, 0, sample(9.0, 0));
    let rates: Vec<f64> = (1..8)
        .map(|number| {
            add_round(&mut path, start, number, sample(5.0, 0));
            path.rate()
        })
        .collect();
    assert_eq!(rates, [9.0, 9.0, 9.0, 9.0, 9.0, 5.0, 5.0]);
}

#[test]
fn a_limited_application_raises_the_rate_but_does_not_age_it() {
    let start = Instant::now();
    let mut path = Path::new(start);
    add_round(&mut path, start, 0, sample(9.0, 0));
    for number in 1..20 {
        let limited = Sample { is_app_limited: true, ..sample(5.0, 0) };
        add_round(&mut path, start, number, limited);
    }
    assert!((path.rate() - 9.0).abs() < 0.1, "{}", path.rate());
    add_round(&mut path, start, 20, Sample { is_app_limited: true, ..sample(10.0, 0) });
    assert!((path.rate() - 10.0).abs() < 0.1, "{}", path.rate());
}

#[test]
fn the_loss_of_a_round_is_the_share_of_its_bytes() {
    let start = Instant::now();
    let mut path = Path::new(start);
    add_round(&mut path, start, 0, sample(1.0, 0));
    path.add_loss(250);
    let round = path.add(start, &sample(1.0, 1000), 1750).expect("a round");
    assert!((round.loss() - 0.25).abs() < 0.001, "{}", round.loss());
    assert!((Round::default().loss() - 0.0).abs() < 0.001, "a round without packets");
}

#[test]
fn a_queue_is_that_of_others_after_10_round_trips() {
    let start = Instant::now();
    let mut path = Path::new(start);
    add_round(&mut path, start, 0, sample(1.0, 0));
    let queued = Sample { round_trip: ms(100), ..sample(1.0, 0) };
    // Each sample ends the round before.
    for number in 1..8 {
        add_round(&mut path, start + ms(100 * number), number, queued);
    }
    assert!(!path.is_queue_of_others(start + ms(200) + 10 * ms(50)));
    assert!(path.is_queue_of_others(start + ms(201) + 10 * ms(50)));
    path.take_queue_as_own();
    assert!(!path.is_queue_of_others(start + secs(1)));
    for number in 8..18 {
        add_round(&mut path, start + ms(100 * number), number, queued);
    }
    assert!(path.is_queue_of_others(start + secs(2)));
    add_round(&mut path, start + ms(1800), 18, sample(1.0, 0));
    add_round(&mut path, start + ms(1850), 19, queued);
    assert!(!path.is_queue_of_others(start + secs(9)), "a round without a queue ends it");
}

#[test]
fn the_lowest_round_trip_is_old_10_seconds_after_one_close_to_it() {
    let start = Instant::now();
    let mut path = Path::new(start);
    let measure = |path: &mut Path, at: Instant, round_trip: Duration| {
        path.add(at, &Sample { round_trip, ..sample(1.0, 0) }, 0);
    };
    measure(&mut path, start, ms(160));
    measure(&mut path, start + secs(5), ms(170));
    assert_eq!(path.lowest_round_trip(), Some(ms(160)));
    assert!(!path.is_round_trip_old(start + secs(15)));
    measure(&mut path, start + secs(10), ms(171));
    assert!(path.is_round_trip_old(start + secs(15) + ms(1)));
    path.set_lowest_round_trip(start + secs(16), ms(171));
    assert_eq!(path.lowest_round_trip(), Some(ms(171)));
    assert!(!path.is_round_trip_old(start + secs(16)));
}

#[test]
fn the_lowest_round_trip_is_doubtful_once_in_10_seconds() {
    let start = Instant::now();
    let mut path = Path::new(start);
    path.add(start, &sample(1.0, 0), 0);
    assert!(!path.is_round_trip_doubtful(start + ms(400)));
    assert!(path.is_round_trip_doubtful(start + ms(401)));
    path.set_lowest_round_trip(start + secs(1), ms(50));
    assert!(!path.is_round_trip_doubtful(start + secs(11)));
    assert!(path.is_round_trip_doubtful(start + secs(11) + ms(1)));
}

#[test]
fn a_round_trip_far_below_the_lowest_asks_for_another_drain() {
    let start = Instant::now();
    let mut path = Path::new(start);
    let measure = |path: &mut Path, round_trip: Duration| {
        path.add(start, &Sample { round_trip, ..sample(1.0, 0) }, 0);
    };
    measure(&mut path, ms(160));
    measure(&mut path, ms(150));
    assert!(!path.is_drain_old(start + secs(10)));
    assert!(path.is_drain_old(start + secs(10) + ms(1)));
    measure(&mut path, ms(140));
    assert!(path.is_drain_old(start));
    path.set_drained(start);
    assert!(!path.is_drain_old(start));
}

#[test]
fn a_short_path_counts_as_a_millisecond_until_it_loses_packets_and_again_after_10_seconds() {
    let start = Instant::now();
    let mut path = Path::new(start);
    let sample = |round_trip| Sample { round_trip, ..sample(1e6, 0) };
    let short = Duration::from_micros(50);
    add_round(&mut path, start, 0, sample(short));
    assert!((path.bandwidth_delay_product() - 1000.0).abs() < 1e-6, "a millisecond of the rate");
    // 10 of 1010 bytes are less than a hundredth.
    path.add_loss(10);
    add_round(&mut path, start, 1, sample(short));
    assert!((path.bandwidth_delay_product() - 1000.0).abs() < 1e-6, "after little loss");
    path.add_loss(20);
    add_round(&mut path, start, 2, sample(short));
    assert!((path.bandwidth_delay_product() - 500.0).abs() < 1e-6, "after an overflow");
    add_round(&mut path, start + secs(10), 3, sample(short));
    assert!((path.bandwidth_delay_product() - 500.0).abs() < 1e-6, "10 seconds later");
    add_round(&mut path, start + secs(10) + ms(1), 4, sample(short));
    assert!((path.bandwidth_delay_product() - 1000.0).abs() < 1e-6, "after 10 seconds");
}

#[test]
fn a_longer_path_counts_as_long_as_it_is() {
    let start = Instant::now();
    let mut path = Path::new(start);
    add_round(&mut path, start, 0, sample(1e6, 0));
    let product = path.bandwidth_delay_product();
    assert!((product - 50_000.0).abs() < 1e-6, "{product} bytes");
}
