//! Paths that do not change.

use std::time::Duration;

use super::simulation::{FlowKind, Simulation};
use super::{mbit, ms, secs};

/// A path of 200 Mbit/s and 100 ms with one flow, and a queue of so many bandwidth-delay products.
fn path(products: f64) -> Simulation {
    Simulation::new(mbit(200.0), ms(100), products)
}

#[test]
fn random_loss_leaves_the_path_full_and_its_queue_short() {
    for (loss, goal) in [(0.0, 0.95), (0.001, 0.95), (0.01, 0.93), (0.02, 0.91), (0.05, 0.85)] {
        let mut path = path(1.0).with_loss(loss, 1.0).with_flow(FlowKind::Model);
        path.run_until(secs(11));
        let share = path.share(0, secs(1), secs(11));
        assert!(share > goal, "{share} of the rate with a loss of {loss}");
        let median = path.queue(secs(1), secs(11), 0.5);
        assert!(median < 0.1, "median queue: {median} round trips with a loss of {loss}");
        let longest = path.queue(secs(1), secs(11), 0.99);
        assert!(longest < 1.0, "p99 of the queue: {longest} round trips with a loss of {loss}");
    }
}

#[test]
fn deep_drains_cost_a_tenth_of_a_round_trip_each() {
    let mut path = path(1.0).with_flow(FlowKind::Model);
    path.run_until(secs(31));
    // About once in 10 s, and each time 10 ms.
    let missing = (1.0 - path.share(0, secs(1), secs(31))) * 30.0;
    assert!(missing > 0.0 && missing < 0.04, "{missing} s of the rate in 30 s");
}

#[test]
fn short_and_long_queues_give_the_same_goodput_with_little_loss() {
    let shares = [0.05, 0.25, 1.0, 4.0].map(|products| {
        let mut path = path(products).with_flow(FlowKind::Model);
        path.run_until(secs(11));
        let overflow = path.overflow();
        assert!(overflow <= 0.03, "{overflow} lost in a queue of {products} products");
        path.share(0, secs(0), secs(11))
    });
    let highest = shares.into_iter().fold(0.0, f64::max);
    assert!(highest > 0.9, "{shares:?}");
    assert!(shares.iter().all(|share| *share > 0.9 * highest), "{shares:?}");
}

#[test]
fn a_path_of_1_gbit_per_second_and_200_ms_is_filled() {
    let mut path = Simulation::new(mbit(1000.0), ms(200), 1.0)
        .with_loss(0.0001, 1.0)
        .with_flow(FlowKind::Model);
    path.run_until(secs(8));
    let share = path.share(0, secs(3), secs(8));
    assert!(share > 0.95, "{share} of the rate");
    // 17,000 packets are in flight here; the records share the send times of many.
    let records = path.most_records();
    assert!(records <= 1000, "{records} records");
}

#[test]
fn a_path_of_1_mbit_per_second_and_40_ms_is_filled() {
    let mut path = Simulation::new(mbit(1.0), ms(40), 10.0).with_flow(FlowKind::Model);
    path.run_until(secs(30));
    let share = path.share(0, secs(1), secs(30));
    assert!(share > 0.95, "{share} of the rate");
    // A bandwidth-delay product is 3.4 packets, and the pace allows bursts of 10.
    let median = path.queue(secs(2), secs(30), 0.5);
    assert!(median < 3.0, "median queue: {median} round trips");
}

#[test]
fn a_short_path_is_filled_for_a_millisecond_unless_its_queue_is_too_short() {
    let round_trip = Duration::from_micros(50);
    let run = |queue: Duration| {
        let products = queue.div_duration_f64(round_trip);
        let mut path =
            Simulation::new(mbit(1000.0), round_trip, products).with_flow(FlowKind::Model);
        path.run_until(secs(2));
        let share = path.share(0, ms(500), secs(2));
        assert!(share > 0.99, "{share} of the rate with a queue of {queue:?}");
        let overflow = path.overflow();
        assert!(overflow < 0.01, "{overflow} lost in a queue of {queue:?}");
        path.queue(ms(500), secs(2), 0.5) * round_trip.as_secs_f64() * 1e3
    };
    let median = run(ms(4));
    assert!(median > 0.9 && median < 1.1, "median queue: {median} ms");
    let median = run(Duration::from_micros(250));
    assert!(median < 0.2, "median queue: {median} ms of 0.25");
}
