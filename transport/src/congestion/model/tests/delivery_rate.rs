//! Samples of the delivery rate.

use std::time::{Duration, Instant};

use super::ms;
use crate::congestion::model::delivery_rate::{DeliveryRate, Sample};

const BYTES: u64 = 1000;

/// Sends one packet each millisecond and acknowledges each after `round_trip`; `ack_interval`
/// collects the acknowledgements. Returns all samples.
fn samples(round_trip: u64, ack_interval: u64, resolution: Duration) -> Vec<Sample> {
    let start = Instant::now();
    let mut deliveries = DeliveryRate::new(start);
    let mut samples = Vec::new();
    for time in 0..1000 {
        let now = start + ms(time);
        if time % ack_interval == 0 && time >= round_trip + ack_interval {
            for sent in time - round_trip - ack_interval..time - round_trip {
                deliveries.on_acked(now, start + ms(sent), BYTES);
            }
            samples.extend(deliveries.end_batch(now, Some(ms(round_trip))));
        }
        deliveries.on_sent(now, time == 0, resolution);
    }
    samples
}

fn highest(samples: &[Sample]) -> f64 {
    samples.iter().filter_map(|sample| sample.rate).fold(0.0, f64::max)
}

#[test]
fn a_steady_flow_is_measured_exactly() {
    let samples = samples(50, 1, Duration::ZERO);
    let rate = highest(&samples);
    assert!((rate - 1e6).abs() < 3e4, "{rate} bytes per second");
    assert!(samples.iter().all(|sample| sample.round_trip == ms(51)), "{samples:?}");
}

#[test]
fn collected_acknowledgements_do_not_make_the_path_look_faster() {
    let rate = highest(&samples(50, 25, Duration::ZERO));
    assert!(rate > 0.9e6, "{rate} bytes per second");
    assert!(rate < 1.05e6, "{rate} bytes per second");
}

#[test]
fn packets_that_share_a_record_change_the_rate_by_less_than_their_resolution() {
    let rate = highest(&samples(100, 1, ms(2)));
    assert!((rate - 1e6).abs() < 5e4, "{rate} bytes per second");
}

#[test]
fn without_acknowledgements_few_records_are_kept() {
    let start = Instant::now();
    let mut deliveries = DeliveryRate::new(start);
    for time in 0..100_000 {
        deliveries.on_sent(start + ms(time), false, Duration::ZERO);
    }
    assert!(deliveries.record_count() <= 4096, "{}", deliveries.record_count());
}

#[test]
fn acknowledgements_at_the_same_instant_have_no_rate() {
    let start = Instant::now();
    let mut deliveries = DeliveryRate::new(start);
    deliveries.on_sent(start, true, Duration::ZERO);
    deliveries.on_acked(start, start, BYTES);
    let sample = deliveries.end_batch(start, None).expect("a packet was acknowledged");
    assert_eq!(sample.rate, None);
    assert_eq!(sample.round_trip, Duration::ZERO);
    assert_eq!(deliveries.end_batch(start, None), None, "the batch is over");
}

#[test]
fn packets_of_an_application_with_too_little_are_marked_until_they_are_delivered() {
    let start = Instant::now();
    let mut deliveries = DeliveryRate::new(start);
    deliveries.mark_app_limited(0);
    deliveries.on_sent(start, true, Duration::ZERO);
    deliveries.on_sent(start + ms(1), false, Duration::ZERO);
    deliveries.on_acked(start + ms(50), start, BYTES);
    let first = deliveries.end_batch(start + ms(50), None).expect("a sample");
    assert!(first.is_app_limited);

    deliveries.on_sent(start + ms(51), false, Duration::ZERO);
    deliveries.on_acked(start + ms(101), start + ms(51), BYTES);
    let second = deliveries.end_batch(start + ms(101), None).expect("a sample");
    assert!(!second.is_app_limited);
}

#[test]
fn records_of_delivered_packets_are_forgotten() {
    let start = Instant::now();
    let mut deliveries = DeliveryRate::new(start);
    for time in 0..10_000 {
        let now = start + ms(time);
        deliveries.on_sent(now, false, Duration::ZERO);
        if let Some(sent) = time.checked_sub(50) {
            deliveries.on_acked(now, start + ms(sent), BYTES);
            deliveries.end_batch(now, None);
        }
    }
    assert!(deliveries.record_count() <= 102, "{}", deliveries.record_count());
}
