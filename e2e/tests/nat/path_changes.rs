//! Paths change, transfers do not: a file that is sent from one client to another while the networks change.

#![expect(clippy::print_stdout, reason = "people compare the times")]

use std::time::{Duration, Instant};

use quiver_client::Client;
use quiver_client::peer_path::{NotDirect, PeerPath};
use quiver_client::settings::PathPolicy;
use quiver_e2e::nat_lab::Gateway::PortRestricted;
use quiver_e2e::nat_lab::{ClientNetwork, Side, Topology, lab_available};
use quiver_e2e::path_emulator::LinkSettings;
use quiver_e2e::process::{Signal, run};
use quiver_e2e::{Server, TIMEOUT, wait_until, wait_within};

use crate::lab_pair::LabPair;
use crate::offered_file::OfferedFile;

const SIZE: usize = 48 * 1024 * 1024;

/// The rate of each client's link in bit/s, with queues of one bandwidth-delay product: 500 kB. How much is in flight
/// must not depend on the processors.
const RATE: u64 = 200_000_000;
const ROUND_TRIP: Duration = Duration::from_millis(20);

/// What may be sent twice each time a transfer moves: bytes that were sent on the old path and had not arrived. The
/// start-up takes 2.5 windows of two bandwidth-delay products.
const SENT_TWICE: u64 = 4 * 1024 * 1024;

fn topology() -> Topology {
    let link = LinkSettings { rate: Some(RATE), delay: ROUND_TRIP / 4, ..LinkSettings::default() };
    let link = LinkSettings { queue: link.bytes_within(ROUND_TRIP), ..link };
    let network = ClientNetwork::behind(PortRestricted).with_link(link);
    Topology::separate(network, network)
}

/// Starts two clients that are connected directly.
async fn start_direct() -> LabPair {
    let pair = LabPair::start(topology(), [PathPolicy::Any; 2]).await;
    pair.accept_each_other().await;
    for client in &pair.clients {
        client.wait_until_direct().await;
    }
    pair
}

/// Waits until both clients use a path of a kind.
async fn wait_for_paths(pair: &LabPair, what: &str, is_wanted: fn(&PeerPath) -> bool) {
    let [ben, ron] = &pair.clients;
    ben.wait_for_path(ron, what, is_wanted).await;
    ron.wait_for_path(ben, what, is_wanted).await;
}

fn is_direct(path: &PeerPath) -> bool {
    matches!(path, PeerPath::Direct { .. })
}

/// Finishes a transfer that moves at most this often, and checks how much was sent.
async fn finish(pair: &LabPair, file: OfferedFile, moves: u64) {
    let size = file.size();
    let sent = file.finish(pair).await;
    assert!((size..=size + moves * SENT_TWICE).contains(&sent), "{sent} of {size} bytes sent");
    println!("{} bytes sent twice", sent - size);
}

#[tokio::test]
async fn a_relayed_transfer_moves_to_the_direct_path_once_there_is_one() {
    if !lab_available() {
        return;
    }
    let options = Server::options().argument("--relay-limit").argument("1500KB");
    let topology = topology().with_client_udp_blocked();
    let pair = LabPair::start_with(topology, [PathPolicy::Any; 2], options).await;
    let file = OfferedFile::start(&pair, SIZE).await;
    let unreachable = |path: &PeerPath| *path == PeerPath::Relayed { why: NotDirect::Unreachable };
    file.wait_for_percent(&pair, 30).await;
    wait_for_paths(&pair, "the end of the first attempts", unreachable).await;
    pair.lab.unblock_client_udp();
    // A new address, such as that of a VPN, leads to new attempts.
    let mut add = pair.lab.client(Side::A).command("ip");
    run(add.args(["addr", "add", "10.99.0.1/32", "dev", "eth0"]), b"").expect(0);
    wait_for_paths(&pair, "a direct path", is_direct).await;
    finish(&pair, file, 1).await;
    let [ben, ron] = &pair.clients;
    let status = ron.status_with(ben).unwrap();
    println!("{status:?}");
    assert!(status.direct_bytes > 1024 * 1024, "{status:?}");
    assert!(is_direct(&ben.path_to(ron)));
}

#[tokio::test]
async fn a_direct_transfer_returns_to_the_relay_when_the_path_is_blocked() {
    if !lab_available() {
        return;
    }
    let pair = start_direct().await;
    let file = OfferedFile::start(&pair, SIZE).await;
    file.wait_for_percent(&pair, 30).await;
    pair.lab.block_client_udp();
    let blocked = Instant::now();
    let is_relayed = |path: &PeerPath| matches!(path, PeerPath::Relayed { .. });
    wait_for_paths(&pair, "the relay", is_relayed).await;
    let elapsed = blocked.elapsed();
    println!("back to the relay after {elapsed:.1?}");
    assert!(elapsed < Duration::from_secs(15), "slow: {elapsed:?}");
    finish(&pair, file, 1).await;
}

#[tokio::test]
async fn a_direct_transfer_continues_without_the_server() {
    if !lab_available() {
        return;
    }
    let mut pair = start_direct().await;
    let file = OfferedFile::start(&pair, SIZE).await;
    file.wait_for_percent(&pair, 50).await;
    pair.server.signal(Signal::KILL);
    pair.server.wait_for_exit(TIMEOUT).await;
    finish(&pair, file, 0).await;
}

#[tokio::test]
async fn a_direct_transfer_moves_to_a_faster_path_that_appears() {
    if !lab_available() {
        return;
    }
    let pair = start_direct().await;
    // About 5 MB/s, so that the transfer still runs when the clients have noticed the cable.
    pair.lab.internet().add_rules(
        "table inet slow {
            chain forward {
                type filter hook forward priority 10
                meta l4proto udp limit rate over 4000/second burst 400 packets drop
            }
        }",
    );
    let file = OfferedFile::start(&pair, SIZE).await;
    file.wait_for_percent(&pair, 5).await;
    // Both clients learn of the new addresses within a few seconds.
    pair.lab.connect_clients();
    let is_at_cable = |path: &PeerPath| {
        let PeerPath::Direct { address } = path else { return false };
        address.ip().to_string().starts_with("10.77.0.")
    };
    wait_for_paths(&pair, "the cable", is_at_cable).await;
    finish(&pair, file, 1).await;
    let [ben, ron] = &pair.clients;
    for (client, other) in [(ben, ron), (ron, ben)] {
        // The first round trips of a new path include the work of both machines.
        let is_fast = || {
            let status = client.status_with(other).unwrap();
            status.round_trip.is_some_and(|time| time < Duration::from_millis(10))
        };
        wait_until("a short round trip", is_fast).await;
        let status = client.status_with(other).unwrap();
        assert!(is_direct(&status.previous.unwrap()), "the path before was not direct");
        client.tell(other, "Still there?").await;
    }
}

#[tokio::test]
async fn a_direct_transfer_survives_a_new_public_address_of_either_side() {
    if !lab_available() {
        return;
    }
    for side in Side::BOTH {
        let mut pair = start_direct().await;
        let file = OfferedFile::start(&pair, SIZE).await;
        file.wait_for_percent(&pair, 30).await;
        pair.lab.change_public_address(side);
        finish(&pair, file, 2).await;
    }
}

#[tokio::test]
async fn a_transfer_survives_fifteen_seconds_without_a_network() {
    if !lab_available() {
        return;
    }
    let pair = start_direct().await;
    let file = OfferedFile::start(&pair, SIZE).await;
    file.wait_for_percent(&pair, 30).await;
    pair.lab.cut(Side::B);
    // The transfer moves to the relay, to that of a new connection, and to a new direct path.
    // The networks have no event that ends this time.
    let outage = std::future::pending::<()>();
    let _ = tokio::time::timeout(Duration::from_secs(15), outage).await;
    pair.lab.restore(Side::B);
    wait_within(Duration::from_secs(90), "the file", finish(&pair, file, 3)).await;
}

#[tokio::test]
async fn a_direct_path_without_a_relay_survives_six_silent_seconds() {
    if !lab_available() {
        return;
    }
    let mut pair = start_direct().await;
    // The second signal ends the relay at once.
    for _ in 0..2 {
        pair.server.signal(Signal::TERM);
    }
    pair.server.wait_for_exit(TIMEOUT).await;
    let [ben, ron] = &pair.clients;
    for client in [ben, ron] {
        let wait = |client: Client| async move {
            wait_until("the loss of the server", || !client.is_connected()).await;
        };
        client.run(wait).await;
    }
    pair.lab.block_client_udp();
    let name = ron.name();
    let told = ben.spawn(move |client| async move { client.tell(&name, "Later").await });
    // The networks have no event that ends this time. It is shorter than QUIC's idle timeout.
    let outage = std::future::pending::<()>();
    let _ = tokio::time::timeout(Duration::from_secs(6), outage).await;
    pair.lab.unblock_client_udp();
    wait_within(TIMEOUT, "the message", told).await.unwrap().unwrap();
    assert!(is_direct(&ben.path_to(ron)) && is_direct(&ron.path_to(ben)));
}
