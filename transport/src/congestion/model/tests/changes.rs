//! Paths that change while content is sent.

use super::simulation::{FlowKind, Simulation};
use super::{mbit, ms, secs};

#[test]
fn a_rate_that_falls_and_rises_is_followed_within_10_round_trips() {
    let mut path = Simulation::new(mbit(200.0), ms(100), 1.0).with_flow(FlowKind::Model);
    path.run_until(secs(5));
    path.set_rate(mbit(50.0));
    path.run_until(secs(12));
    let share = path.share(0, secs(6), secs(12));
    assert!(share > 0.9, "{share} of 50 Mbit/s");
    let rate = path.model(0).delivery_rate().expect("a rate");
    assert!(rate < 7_000_000, "estimated rate: {rate} bytes per second");
    // The queue of one product has become one of four.
    let queue = path.queue(secs(6), ms(6050), 1.0);
    assert!(queue < 1.25, "{queue} round trips of queue after 10 of them");
    // The drain of that queue does not leave the path idle.
    for tenth in 54..80 {
        let share = path.share(0, ms(100 * tenth), ms(100 * (tenth + 1)));
        assert!(share > 0.7, "{share} of 50 Mbit/s after {tenth} tenths of a second");
    }
    // Then it is short again.
    let median = path.queue(secs(8), secs(12), 0.5);
    assert!(median < 0.1, "median queue: {median} round trips");

    path.set_rate(mbit(200.0));
    path.run_until(secs(20));
    let time = path.reaches(0, secs(12), 0.9, ms(100));
    assert!(time <= secs(1), "200 Mbit/s again after {time:?}");
    let share = path.share(0, secs(14), secs(20));
    assert!(share > 0.9, "{share} of 200 Mbit/s");
}

#[test]
fn a_path_that_becomes_longer_and_shorter_is_filled_again() {
    let mut path = Simulation::new(mbit(200.0), ms(50), 3.0).with_flow(FlowKind::Model);
    path.run_until(secs(5));
    path.set_round_trip(ms(150));
    path.run_until(secs(20));
    let share = path.share(0, secs(9), secs(20));
    assert!(share > 0.9, "{share} of the rate at 150 ms");
    let lowest = path.model(0).lowest_round_trip().expect("a round trip");
    assert!(lowest >= ms(150), "lowest round trip: {lowest:?}");

    path.set_round_trip(ms(50));
    path.run_until(secs(40));
    let share = path.share(0, secs(20), secs(40));
    assert!(share > 0.9, "{share} of the rate at 50 ms");
    // A queue makes up for the difference, until it is drained deeply: once in 10 s, then again and again.
    let median = path.queue(secs(35), secs(40), 0.5);
    assert!(median < 0.5, "median queue: {median} round trips");
}
