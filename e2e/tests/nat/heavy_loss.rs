//! A path that suddenly loses a large part of what is in flight: QUIC's receiver gives the connection up, because too many
//! separate parts of a stream are missing, and the transfer continues on another connection.

use std::time::Duration;

use quiver_e2e::kills::TransferKind;
use quiver_e2e::nat_lab::Gateway::Firewall;
use quiver_e2e::nat_lab::{ClientNetwork, Side, Topology, lab_available};
use quiver_e2e::path_emulator::LinkSettings;
use quiver_e2e::{TIMEOUT, wait_within};

use crate::running_transfer::RunningTransfer;

const MIB: u64 = 1024 * 1024;
const SIZE: u64 = 96 * MIB;

/// With this rate and this delay, at least 10 MB or 7,000 packets are in flight.
const RATE: &str = "20MB/s";
const DELAY: Duration = Duration::from_millis(250);

/// Of 7,000 packets, 1,500 are then missing behind one that is received: more than the 1024 gaps of quinn's receiver.
const LOSS: f64 = 0.3;

async fn survive_heavy_loss(kind: TransferKind) {
    let link = LinkSettings { delay: DELAY, ..LinkSettings::default() };
    let network = ClientNetwork::behind(Firewall);
    let topology = Topology::separate(network.with_link(link), network);
    let running = RunningTransfer::start(kind, topology, SIZE, RATE).await;
    // By then its windows are large.
    running.wait_until_stored(SIZE / 3).await;
    let before = running.stored();
    running.lab.set_link(Side::A, LinkSettings { random_loss: LOSS, ..link });
    let lost = running.process.stderr.wait(|line| {
        let is_lost = line.contains("connection lost (the path lost too many packets at once)");
        is_lost.then_some(())
    });
    wait_within(TIMEOUT, "the connection to be lost", lost).await;
    running.lab.set_link(Side::A, link);
    let finished = running.finish().await;
    assert!(finished.resumed_at + MIB >= before, "{} < {before}", finished.resumed_at);
}

#[tokio::test]
async fn a_get_continues_after_a_sudden_heavy_loss() {
    if lab_available() {
        survive_heavy_loss(TransferKind::Get).await;
    }
}

#[tokio::test]
async fn a_put_continues_after_a_sudden_heavy_loss() {
    if lab_available() {
        survive_heavy_loss(TransferKind::Put).await;
    }
}
