//! Paths on which nothing passes for a while.

use super::simulation::{FlowKind, Simulation};
use super::{mbit, ms, secs};

#[test]
fn after_30_seconds_of_silence_the_path_is_filled_again() {
    let mut path = Simulation::new(mbit(200.0), ms(100), 1.0).with_flow(FlowKind::Model);
    path.run_until(secs(5));
    path.set_silent(true);
    path.run_until(secs(35));
    path.set_silent(false);
    path.run_until(secs(80));
    // The probe timeout has doubled up to half a minute, as RFC 9002 requires.
    let first = path.reaches(0, secs(35), 1e-6, ms(10));
    let time = path.reaches(0, secs(35) + first, 0.9, ms(100));
    assert!(time <= ms(1500), "the rate {time:?} after the first packet");
    let overflow = path.overflow();
    assert!(overflow < 0.01, "{overflow} lost in the queue");
}

#[test]
fn a_short_silence_costs_little_more_than_itself() {
    let mut path = Simulation::new(mbit(200.0), ms(100), 1.0).with_flow(FlowKind::Model);
    path.run_until(secs(5));
    path.set_silent(true);
    path.run_until(secs(6));
    path.set_silent(false);
    path.run_until(secs(12));
    let share = path.share(0, secs(8), secs(12));
    assert!(share > 0.9, "{share} of the rate");
}

#[test]
fn pauses_of_the_receiver_do_not_add_up() {
    let mut path = Simulation::new(mbit(200.0), ms(50), 8.0).with_flow(FlowKind::Model);
    path.run_until(secs(3));
    // For 50 ms at a time, packets take 200 ms longer: acknowledgements pause, and then many come at once.
    for pause in 0..12 {
        path.set_round_trip(ms(50));
        path.run_until(ms(3400 + 400 * pause));
        path.set_round_trip(ms(250));
        path.run_until(ms(3450 + 400 * pause));
    }
    // A bandwidth-delay product is 1.25 MB, and a burst is at most two of them.
    let window = path.model(0).window();
    assert!(window < 3_900_000, "{window} bytes");
}
