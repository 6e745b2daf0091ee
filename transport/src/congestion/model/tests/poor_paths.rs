//! Radio, jitter, collected acknowledgements, marks and policers.

use super::simulation::{FlowKind, Simulation};
use super::{mbit, ms, secs};

#[test]
fn bursts_of_loss_before_a_long_queue_leave_the_path_full() {
    let mut path =
        Simulation::new(mbit(20.0), ms(40), 7.5).with_loss(0.02, 5.0).with_flow(FlowKind::Model);
    path.run_until(secs(20));
    let share = path.share(0, secs(0), secs(20));
    assert!(share > 0.9, "{share} of the rate");
    let median = path.queue(secs(2), secs(20), 0.5);
    assert!(median < 0.5, "median queue: {median} round trips");
}

#[test]
fn jitter_and_collected_acknowledgements_leave_the_path_full() {
    for (jitter, ack_interval) in [(0, 15), (0, 40), (20, 0), (20, 15)] {
        for (rate, round_trip) in [(20.0, 40), (200.0, 100)] {
            let mut path = Simulation::new(mbit(rate), ms(round_trip), 4.0)
                .with_jitter(ms(jitter))
                .with_ack_interval(ms(ack_interval))
                .with_flow(FlowKind::Model);
            path.run_until(secs(15));
            let name = format!("{rate} Mbit/s, jitter {jitter} ms, acks each {ack_interval} ms");
            let share = path.share(0, secs(8), secs(15));
            assert!(share > 0.9, "{share} of {name}");
            let longest = path.queue(secs(8), secs(15), 0.99);
            assert!(longest < 2.5, "{longest} round trips of queue: {name}");
        }
    }
}

#[test]
fn marks_keep_the_queue_short_and_the_path_full() {
    let mut path =
        Simulation::new(mbit(200.0), ms(100), 1.0).with_marks_above(0.1).with_flow(FlowKind::Model);
    path.run_until(secs(11));
    let share = path.share(0, secs(1), secs(11));
    assert!(share > 0.9, "{share} of the rate");
    let longest = path.queue(secs(1), secs(11), 0.99);
    assert!(longest < 0.2, "p99 of the queue: {longest} round trips");
}

#[test]
fn a_policer_is_used_at_its_rate() {
    let mut path = Simulation::new(mbit(200.0), ms(100), 1.0)
        .with_policer(mbit(50.0), 300_000.0)
        .with_flow(FlowKind::Model);
    path.run_until(secs(20));
    // A quarter of the link.
    let share = path.share(0, secs(2), secs(20));
    assert!(share > 0.225, "{share} of the link");
    let overflow = path.overflow();
    assert!(overflow < 0.2, "{overflow} lost in the policer");
}
