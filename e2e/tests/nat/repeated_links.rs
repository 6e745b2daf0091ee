//! How reliably clients behind port-restricted NATs connect directly: many attempts, each with new sockets, at several
//! delays.

#![expect(clippy::print_stdout, reason = "people compare the times")]

use std::time::{Duration, Instant};

use quiver_client::settings::PathPolicy;
use quiver_e2e::nat_lab::Gateway::PortRestricted;
use quiver_e2e::nat_lab::{ClientNetwork, Lab, Side, Topology, lab_available};
use quiver_e2e::{Home, Server};

use crate::lab_client::LabClient;

/// Pairs of clients that connect at the same time, and how often each does.
const PAIRS: usize = 5;
const ATTEMPTS: usize = 10;

const NAMES: [[&str; 2]; PAIRS] =
    [["A1", "B1"], ["A2", "B2"], ["A3", "B3"], ["A4", "B4"], ["A5", "B5"]];

/// Connects one pair again and again, and returns how long each attempt took from the start of the connection over the
/// relay.
async fn connect_repeatedly(lab: &Lab, server: &Server, names: [&str; 2]) -> Vec<Duration> {
    let homes = [Home::new(), Home::new()];
    let mut times = Vec::new();
    for attempt in 0..ATTEMPTS {
        let start = |side: Side| {
            let index = side as usize;
            let (host, home) = (lab.client(side), &homes[index]);
            LabClient::start(host, server, names[index], PathPolicy::Any, home)
        };
        let (a, b) = tokio::join!(start(Side::A), start(Side::B));
        let started = Instant::now();
        a.connect(&b).await;
        if attempt == 0 {
            a.tell(&b, "Hello").await;
            b.tell(&a, "Hi").await;
        }
        let (a_direct, b_direct) = tokio::join!(a.wait_until_direct(), b.wait_until_direct());
        times.push(a_direct.max(b_direct) - started);
        tokio::join!(a.stop(), b.stop());
    }
    times
}

/// Checks that all attempts lead to direct connections.
async fn check_all_direct(delays: [u64; 2]) {
    if !lab_available() {
        return;
    }
    let network =
        |delay| ClientNetwork::behind(PortRestricted).with_delay(Duration::from_millis(delay));
    let lab = Lab::new(Topology::separate(network(delays[0]), network(delays[1])));
    let server = Server::options().on_host(lab.server()).max_clients(30).start().await;
    let [first, second, third, fourth, fifth] =
        NAMES.map(|names| connect_repeatedly(&lab, &server, names));
    let times = tokio::join!(first, second, third, fourth, fifth);
    let mut times = [times.0, times.1, times.2, times.3, times.4].concat();
    times.sort_unstable();
    assert_eq!(times.len(), PAIRS * ATTEMPTS);
    let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
    println!(
        "delays of {delays:?} ms: {} direct, median {median:.0?}, slowest {slowest:.0?}",
        times.len()
    );
}

#[tokio::test]
async fn fifty_attempts_without_delay_all_lead_to_direct_connections() {
    check_all_direct([0, 0]).await;
}

#[tokio::test]
async fn fifty_attempts_with_equal_delays_all_lead_to_direct_connections() {
    check_all_direct([20, 20]).await;
}

#[tokio::test]
async fn fifty_attempts_with_different_delays_all_lead_to_direct_connections() {
    check_all_direct([5, 60]).await;
}
