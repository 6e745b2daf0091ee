//! The start of a connection.

use std::time::{Duration, Instant};

use super::simulation::{FlowKind, Simulation};
use super::{INITIAL_WINDOW, mbit, ms, secs};
use crate::congestion::model::Model;

#[test]
fn the_start_up_finds_the_rate_within_10_round_trips_and_queues_at_most_one_product() {
    for (rate, round_trip) in [(100.0, 100), (200.0, 100), (1000.0, 50)] {
        let mut path = Simulation::new(mbit(rate), ms(round_trip), 4.0).with_flow(FlowKind::Model);
        path.run_until(secs(3));
        let time = path.reaches(0, secs(0), 0.9, ms(round_trip));
        assert!(time <= 10 * ms(round_trip), "{rate} Mbit/s after {time:?}");
        let longest = path.queue(secs(0), secs(3), 1.0);
        assert!(longest <= 1.05, "{longest} round trips of queue at {rate} Mbit/s");
    }
}

#[test]
fn the_start_up_costs_at_most_three_round_trips() {
    // Half a round trip of them passes until the first packet arrives.
    let mut path = Simulation::new(mbit(200.0), ms(100), 1.0).with_flow(FlowKind::Model);
    path.run_until(secs(3));
    let missing = (1.0 - path.share(0, secs(0), secs(3))) * 30.0;
    assert!(missing <= 3.0, "{missing} round trips");
}

/// Checks that a path of 200 Mbit/s and 100 ms which has once had the share `reached` in an interval keeps the share
/// `kept` in each of the next ones.
fn check_that_it_stays_full(interval: Duration, intervals: u32, reached: f64, kept: f64) {
    let mut path = Simulation::new(mbit(200.0), ms(100), 4.0).with_flow(FlowKind::Model);
    path.run_until(secs(2));
    let full = path.reaches(0, secs(0), reached, interval);
    for index in 0..intervals {
        let from = full + interval * index;
        let share = path.share(0, from, from + interval);
        assert!(share > kept, "{share} of the rate {index} times {interval:?} after it was full");
    }
}

#[test]
fn a_start_up_that_slows_down_leaves_no_gap() {
    check_that_it_stays_full(ms(20), 20, 0.95, 0.9);
}

#[test]
fn the_path_stays_full_after_the_queue_of_the_start_up_was_drained() {
    check_that_it_stays_full(ms(100), 5, 0.99, 0.95);
}

#[test]
fn the_first_window_is_paced_at_a_rate_once_the_round_trip_is_known() {
    let start = Instant::now();
    for (round_trip, window) in [(ms(1), INITIAL_WINDOW), (ms(40), 125_000), (secs(2), 312_500)] {
        let mut model = Model::new(start, 1200, INITIAL_WINDOW, 1);
        model.on_sent(start, 1200);
        assert_eq!(model.window(), INITIAL_WINDOW);
        model.on_acked(start + round_trip, start, 1200);
        model.on_acks_end(start + round_trip, 0, true);
        assert_eq!(model.window(), window, "after {round_trip:?}");
    }
}

#[test]
fn the_start_up_leaves_a_short_queue_with_little_loss() {
    let mut path = Simulation::new(mbit(200.0), ms(100), 0.25).with_flow(FlowKind::Model);
    path.run_until(secs(3));
    let lost = path.lost(0);
    assert!(lost < 0.03, "{lost} of the packets were lost");
    let share = path.share(0, secs(1), secs(3));
    assert!(share > 0.9, "{share} of the rate");
}

#[test]
fn the_start_up_on_a_slow_path_queues_at_most_two_products() {
    let mut path = Simulation::new(mbit(20.0), ms(40), 4.0).with_flow(FlowKind::Model);
    path.run_until(secs(2));
    let time = path.reaches(0, secs(0), 0.9, ms(40));
    assert!(time <= ms(400), "20 Mbit/s after {time:?}");
    // The first rounds triple what is in flight, and this path is full within them.
    let longest = path.queue(secs(0), secs(2), 1.0);
    assert!(longest <= 2.0, "{longest} round trips of queue");
}
