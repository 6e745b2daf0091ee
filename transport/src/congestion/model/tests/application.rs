//! Applications that have too little to send, or nothing for a while.

use super::simulation::{FlowKind, Simulation};
use super::{INITIAL_WINDOW, mbit, ms, secs};

const UNLIMITED: f64 = f64::INFINITY;

fn path() -> Simulation {
    Simulation::new(mbit(200.0), ms(100), 1.0).with_flow(FlowKind::Model)
}

#[test]
fn an_application_that_sends_little_keeps_the_initial_window_and_then_fills_the_path() {
    let mut path = path();
    path.set_application(0, mbit(20.0));
    path.run_until(secs(5));
    let share = path.share(0, secs(1), secs(5));
    assert!(share > 0.095, "{share} of the rate, of 0.1 that the application has");
    let window = path.take_lowest_window();
    assert!(window >= INITIAL_WINDOW, "window: {window} bytes");

    path.set_application(0, UNLIMITED);
    path.run_until(secs(10));
    let time = path.reaches(0, secs(5), 0.9, ms(100));
    assert!(time <= secs(1), "the rate after {time:?}");
    let longest = path.queue(secs(5), secs(10), 1.0);
    assert!(longest <= 1.05, "{longest} round trips of queue");
}

#[test]
fn an_application_that_sends_little_does_not_lower_the_estimate() {
    let mut path = path();
    path.run_until(secs(5));
    let full = path.model(0).delivery_rate().expect("a rate");
    path.set_application(0, mbit(20.0));
    path.run_until(secs(15));
    let limited = path.model(0).delivery_rate().expect("a rate");
    assert!(limited >= full / 100 * 95, "{limited} bytes per second after {full}");

    path.set_application(0, UNLIMITED);
    path.run_until(secs(17));
    let share = path.share(0, secs(15), secs(17));
    assert!(share > 0.9, "{share} of the rate");
}

#[test]
fn after_a_pause_the_path_is_filled_without_a_long_queue() {
    // Mbit/s in the pause: nothing, or a packet every 3 seconds that keeps the connection alive.
    for (pause, rate) in [(1, 0.0), (15, 0.0), (15, 0.004)] {
        let mut path = path();
        path.run_until(secs(5));
        path.set_application(0, mbit(rate));
        let restart = secs(5 + pause);
        path.run_until(restart);
        let phase = path.model(0).phase_name();
        assert_eq!(phase == "start-up", rate > 0.0, "{phase} after {pause} s with {rate} Mbit/s");
        path.set_application(0, UNLIMITED);
        path.run_until(restart + secs(3));
        let time = path.reaches(0, restart, 0.9, ms(100));
        assert!(time <= ms(500), "the rate {time:?} after a pause of {pause} s");
        let longest = path.queue(restart, restart + secs(3), 1.0);
        assert!(longest <= 1.05, "{longest} round trips of queue after a pause of {pause} s");
        let overflow = path.overflow();
        assert!(overflow < 0.01, "{overflow} lost after a pause of {pause} s");
    }
}
