//! Delays of a client's connection to the public network: their length, their removal, and what they carry.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use quiver_e2e::TIMEOUT;
use quiver_e2e::nat_lab::{ClientNetwork, Gateway, Host, Lab, Side, lab_available};
use quiver_e2e::path_emulator::LinkSettings;
use quiver_e2e::process::processor_time;

use crate::probe::{Probe, lab_of};

/// A round trip may take so much longer than the delays in both directions.
const TOLERANCE: Duration = Duration::from_millis(4);
/// How long a busy machine has for one round trip within the tolerance.
const LIMIT: Duration = Duration::from_secs(5);

/// A network behind a NAT with a delay in milliseconds.
fn delayed_network(one_way: u64) -> ClientNetwork {
    let one_way = Duration::from_millis(one_way);
    ClientNetwork::behind(Gateway::PortRestricted).with_delay(one_way)
}

/// Measures round trips between a client and the server until one is within the tolerance. None may be shorter
/// than the delays.
fn check_round_trip(lab: &Lab, side: Side, one_way: u64) {
    let (client, server) = (Probe::bind(lab.client(side)), Probe::bind(lab.server()));
    let expected = Duration::from_millis(2 * one_way);
    let deadline = Instant::now() + LIMIT;
    loop {
        let start = Instant::now();
        let mapping = client.mapping(&server);
        server.send(mapping, b"response");
        assert_eq!(client.receive().0, b"response");
        let measured = start.elapsed();
        assert!(measured >= expected, "{measured:?} instead of {expected:?}");
        if measured < expected + TOLERANCE {
            return;
        }
        assert!(Instant::now() < deadline, "{measured:?} instead of {expected:?}");
    }
}

#[test]
fn each_client_has_the_delay_of_its_network() {
    if !lab_available() {
        return;
    }
    for (a, b) in [(0, 5), (20, 60)] {
        let lab = lab_of(delayed_network(a), delayed_network(b));
        check_round_trip(&lab, Side::A, a);
        check_round_trip(&lab, Side::B, b);
    }
}

#[test]
fn a_delay_is_changed_and_removed_while_the_lab_runs() {
    if !lab_available() {
        return;
    }
    let lab = lab_of(delayed_network(20), ClientNetwork::behind(Gateway::Public));
    check_round_trip(&lab, Side::A, 20);
    check_round_trip(&lab, Side::B, 0);
    for one_way in [5, 0] {
        let delay = Duration::from_millis(one_way);
        lab.set_link(Side::A, LinkSettings { delay, ..LinkSettings::default() });
        check_round_trip(&lab, Side::A, one_way);
    }
}

/// Sends `bytes` from one host to another over TCP. The receiver connects.
fn transfer(sender: &Host, receiver: &Host, bytes: usize) {
    let listener = sender.run(|| TcpListener::bind((sender.address(), 0)).unwrap());
    let address = listener.local_addr().unwrap();
    let mut input = receiver.run(|| TcpStream::connect_timeout(&address, TIMEOUT).unwrap());
    input.set_read_timeout(Some(TIMEOUT)).unwrap();
    let (mut output, _) = listener.accept().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || output.write_all(&vec![7; bytes]).unwrap());
        let mut content = Vec::new();
        input.read_to_end(&mut content).unwrap();
        assert_eq!(content.len(), bytes);
    });
}

#[test]
fn one_processor_carries_200_megabits_a_second_with_a_delay() {
    if !lab_available() {
        return;
    }
    let lab = lab_of(delayed_network(5), ClientNetwork::behind(Gateway::Public));
    let bytes = 25_000_000;
    // The processor time of sender, receiver and delay, because other programs may use the processors too. They
    // also make it longer, so the best of three counts.
    let times = (0..3).map(|_| {
        let (start, before) = (Instant::now(), processor_time(std::process::id()));
        transfer(lab.server(), lab.client(Side::A), bytes);
        let used = processor_time(std::process::id()) - before;
        println!("{used:?} of processor time in {:?}", start.elapsed());
        used
    });
    let megabits = bytes as f64 * 8.0 / 1e6 / times.min().unwrap().as_secs_f64();
    assert!(megabits >= 200.0, "{megabits:.0} Mbit/s");
}
