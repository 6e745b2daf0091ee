//! A file that moves between paths costs no second reading: two `quiver` programs whose networks change, or which the
//! system suspends, and what they read meanwhile. `QUIVER_MOVED_BYTES` sets the file's size, and
//! `QUIVER_SUSPENDED_SECONDS` how long a program is suspended.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::time::Duration;

use quiver_e2e::Server;
use quiver_e2e::nat_lab::Gateway::PortRestricted;
use quiver_e2e::nat_lab::{ClientNetwork, Side, Topology, lab_available};
use quiver_e2e::process::{Signal, run};
use quiver_e2e::server::ServerOptions;

use crate::program_pair::{ProgramPair, TransferCost};

/// What either side may read again.
const READ_AGAIN: u64 = 300 * 1024;

/// A block of content. At most one that is not whole is dropped when a file moves.
const BLOCK: u64 = 256 * 1024;

/// Longer than the idle timeout of a connection, so that all of them are lost.
const SUSPENDED_SECONDS: u64 = 13;

fn size() -> u64 {
    std::env::var("QUIVER_MOVED_BYTES").map_or(64 * 1024 * 1024, |bytes| bytes.parse().unwrap())
}

fn suspension() -> Duration {
    let seconds = std::env::var("QUIVER_SUSPENDED_SECONDS");
    Duration::from_secs(seconds.map_or(SUSPENDED_SECONDS, |seconds| seconds.parse().unwrap()))
}

fn topology() -> Topology {
    let network = ClientNetwork::behind(PortRestricted).with_delay(Duration::from_millis(5));
    Topology::separate(network, network)
}

/// A server that would relay the whole file in this many seconds.
fn server_that_relays_in(seconds: u64) -> ServerOptions {
    Server::options().argument("--relay-limit").argument((size() / seconds).to_string())
}

/// Starts a transfer over a direct path, and waits until this share of the file is stored.
async fn start_direct(percent: u64) -> ProgramPair {
    let pair = ProgramPair::start(topology(), server_that_relays_in(8), size()).await;
    pair.wait_until_direct().await;
    pair.wait_for_percent(percent).await;
    pair
}

/// Checks that content was neither read again by either side, nor received again in whole blocks.
fn check_cost(cost: TransferCost, moves: u64) {
    assert!(cost.sender_read < READ_AGAIN, "{cost:?}");
    assert!(cost.receiver_read < READ_AGAIN, "{cost:?}");
    assert!(cost.received <= moves * BLOCK, "{cost:?}");
}

#[tokio::test]
async fn a_file_that_moves_to_the_direct_path_is_not_read_again() {
    if !lab_available() {
        return;
    }
    let topology = topology().with_client_udp_blocked();
    let pair = ProgramPair::start(topology, server_that_relays_in(24), size()).await;
    pair.wait_for_percent(30).await;
    pair.lab.unblock_client_udp();
    // A new address, such as that of a VPN, leads to new attempts.
    let mut add = pair.lab.client(Side::A).command("ip");
    run(add.args(["addr", "add", "10.99.0.1/32", "dev", "eth0"]), b"").expect(0);
    pair.wait_until_direct().await;
    check_cost(pair.finish().await, 1);
}

#[tokio::test]
async fn a_file_that_returns_to_the_relay_is_not_read_again() {
    if !lab_available() {
        return;
    }
    let pair = start_direct(30).await;
    pair.lab.block_client_udp();
    pair.wait_until_relayed_again().await;
    check_cost(pair.finish().await, 2);
}

#[tokio::test]
async fn a_direct_transfer_whose_server_is_killed_reads_nothing_again() {
    if !lab_available() {
        return;
    }
    let mut pair = start_direct(50).await;
    pair.server.signal(Signal::KILL);
    pair.server.wait_for_exit(quiver_e2e::TIMEOUT).await;
    check_cost(pair.finish().await, 1);
}

/// Suspends one of the programs while the file is sent directly.
async fn suspend(side: Side) {
    let pair = start_direct(30).await;
    let program = if side == Side::A { &pair.sender } else { &pair.receiver };
    program.process.signal(Signal::STOP);
    // A suspended program has no event that ends this time.
    let suspended = std::future::pending::<()>();
    let _ = tokio::time::timeout(suspension(), suspended).await;
    program.process.signal(Signal::CONT);
    check_cost(pair.finish().await, 4);
}

#[tokio::test]
async fn a_transfer_whose_sender_is_suspended_continues_without_reading_again() {
    if lab_available() {
        suspend(Side::A).await;
    }
}

#[tokio::test]
async fn a_transfer_whose_receiver_is_suspended_continues_without_reading_again() {
    if lab_available() {
        suspend(Side::B).await;
    }
}
