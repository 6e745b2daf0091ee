//! Poor networks: transfers between a client and a server survive silence in one or both directions, other addresses, an
//! interface that is gone for a while, and suspended programs, and send little twice.

#![expect(clippy::print_stdout, reason = "people compare the times")]

use std::time::{Duration, Instant};

use quiver_e2e::kills::TransferKind;
use quiver_e2e::nat_lab::Gateway::{Firewall, PortRestricted};
use quiver_e2e::nat_lab::{ClientNetwork, IpVersion, Lab, Side, Topology, lab_available};
use quiver_e2e::process::{Signal, run};
use quiver_e2e::{Home, Server, TIMEOUT, wait_until, wait_within};

use crate::program_pair::ProgramPair;
use crate::running_transfer::{FinishedTransfer, RunningTransfer};

const MIB: u64 = 1024 * 1024;
const SIZE: u64 = 24 * MIB;

/// What may be sent twice: bytes that were on their way when the path failed, at most a window of the sender.
const SENT_TWICE: u64 = 4 * MIB;

/// How long a client may take to continue a transfer once its path is back: about a second, and more on a busy machine.
const RETURN_TIME: Duration = Duration::from_secs(8);

/// Longer than the idle timeout of a connection, so that it is lost.
const SUSPENSION: Duration = Duration::from_secs(16);

const KINDS: [TransferKind; 2] = [TransferKind::Get, TransferKind::Put];

fn behind_nat() -> Topology {
    let network = ClientNetwork::behind(PortRestricted).with_delay(Duration::from_millis(10));
    Topology::separate(network, network)
}

fn with_ipv6() -> Topology {
    let network = ClientNetwork::behind(Firewall).with_delay(Duration::from_millis(10));
    Topology::separate(network, network).with_ip_version(IpVersion::V6)
}

/// Nothing ends this time: how long a path is silent is what is tested.
async fn outage(seconds: u64) {
    let _ = tokio::time::timeout(Duration::from_secs(seconds), std::future::pending::<()>()).await;
}

async fn start(kind: TransferKind, topology: Topology) -> RunningTransfer {
    RunningTransfer::start(kind, topology, SIZE, "3MB/s").await
}

fn ip(running: &RunningTransfer, arguments: &str) {
    let mut ip = running.lab.client(Side::A).command("ip");
    run(ip.args(arguments.split(' ')), b"").expect(0);
}

/// Waits until the client continues the transfer after its path is back, and until it ends. Returns what it printed to
/// standard error.
async fn finish(running: RunningTransfer) -> String {
    let (back, before) = (Instant::now(), running.stored());
    let continues = || running.stored() > before || running.target().exists();
    wait_until("the transfer to continue", continues).await;
    let (took, kind) = (back.elapsed(), running.kind);
    println!("{kind:?} continues after {took:.1?}");
    let FinishedTransfer { moved, resumed_at, stderr } = running.finish().await;
    assert!(took < RETURN_TIME, "{kind:?} continues after {took:?}: {stderr}");
    assert!((SIZE..=SIZE + SENT_TWICE).contains(&moved), "{moved} bytes moved: {stderr}");
    // The first attempt ends at the end, and others continue behind what was stored.
    let is_first = resumed_at == 0;
    assert!(is_first || resumed_at + MIB >= before, "from {resumed_at}, not {before}: {stderr}");
    stderr
}

/// Loses packets at the router for a while.
async fn survive_silence(seconds: u64, rules: &str) {
    let [get, put] = KINDS.map(|kind| async move {
        let running = start(kind, behind_nat()).await;
        let table = format!(
            "table inet silence {{
                chain forward {{
                    type filter hook forward priority filter
                    {rules}
                }}
            }}"
        );
        running.lab.internet().add_rules(&table);
        outage(seconds).await;
        running.lab.internet().add_rules("delete table inet silence\n");
        let stderr = finish(running).await;
        let is_reported = stderr.contains("no answer from 203.0.113.1: connecting again ...");
        assert!(is_reported || seconds < 20, "{stderr}");
    });
    tokio::join!(get, put);
}

#[tokio::test]
async fn transfers_survive_thirty_silent_seconds() {
    if lab_available() {
        survive_silence(30, "iifname net_a drop\noifname net_a drop").await;
    }
}

#[tokio::test]
async fn transfers_survive_eight_seconds_without_packets_of_the_client() {
    if lab_available() {
        survive_silence(8, "iifname net_a drop").await;
    }
}

#[tokio::test]
async fn transfers_survive_twenty_seconds_without_packets_of_the_server() {
    if lab_available() {
        survive_silence(20, "oifname net_a drop").await;
    }
}

#[tokio::test]
async fn transfers_survive_another_public_address() {
    if !lab_available() {
        return;
    }
    let [get, put] = KINDS.map(|kind| async move {
        let mut running = start(kind, behind_nat()).await;
        running.lab.change_public_address(Side::A);
        finish(running).await;
    });
    tokio::join!(get, put);
}

#[tokio::test]
async fn transfers_survive_other_addresses_of_the_client() {
    if !lab_available() {
        return;
    }
    let topologies = [behind_nat(), with_ipv6()];
    let changes = topologies.map(|topology| async move {
        let [get, put] = KINDS.map(|kind| async move {
            let mut running = start(kind, topology).await;
            running.lab.change_local_address(Side::A);
            finish(running).await;
        });
        tokio::join!(get, put);
    });
    let [v4, v6] = changes;
    tokio::join!(v4, v6);
}

#[tokio::test]
async fn transfers_survive_an_interface_that_is_gone_for_a_while() {
    if !lab_available() {
        return;
    }
    let [get, put] = KINDS.map(|kind| async move {
        let running = start(kind, behind_nat()).await;
        // Sending fails at once: the network is unreachable.
        ip(&running, "link set eth0 down");
        outage(6).await;
        ip(&running, "link set eth0 up");
        let gateway = running.lab.gateway(Side::A).address();
        ip(&running, &format!("route replace default via {gateway} dev eth0"));
        finish(running).await;
    });
    tokio::join!(get, put);
}

#[tokio::test]
async fn transfers_of_a_suspended_client_resume_when_it_continues() {
    if !lab_available() {
        return;
    }
    let [get, put] = KINDS.map(|kind| async move {
        let running = start(kind, behind_nat()).await;
        running.process.signal(Signal::STOP);
        outage(SUSPENSION.as_secs()).await;
        running.process.signal(Signal::CONT);
        let stderr = finish(running).await;
        assert!(stderr.contains("resuming at "), "{stderr}");
    });
    tokio::join!(get, put);
}

#[tokio::test]
async fn transfers_resume_when_a_suspended_server_continues() {
    if !lab_available() {
        return;
    }
    let [get, put] = KINDS.map(|kind| async move {
        let running = start(kind, behind_nat()).await;
        running.server.signal(Signal::STOP);
        outage(SUSPENSION.as_secs()).await;
        running.server.signal(Signal::CONT);
        finish(running).await;
    });
    tokio::join!(get, put);
}

#[tokio::test]
async fn a_message_during_an_outage_is_sent_after_it() {
    if !lab_available() {
        return;
    }
    let lab = Lab::new(behind_nat());
    let server = Server::options().on_host(lab.server()).start().await;
    let home = Home::new();
    let quiver = home.quiver_as(&server, "Ron", [""; 0]).on_host(lab.client(Side::A));
    let (mut process, mut lines) = quiver.start_with_pipe();
    std::io::Write::write_all(&mut lines, b"before\n").unwrap();
    let answer = process.stdout.wait(|line| (line == "before ACK").then_some(()));
    wait_within(TIMEOUT, "the first answer", answer).await;
    lab.cut(Side::A);
    // Which of the two comes first depends on when the last packet was sent.
    let silence = process.stderr.wait(|line| {
        let is_lost = line.starts_with("Connection lost: no sign of life.");
        (is_lost || line.contains("no answer from ")).then_some(is_lost)
    });
    let is_lost = wait_within(TIMEOUT, "the client to notice", silence).await.unwrap();
    std::io::Write::write_all(&mut lines, b"meanwhile\n").unwrap();
    drop(lines);
    lab.restore(Side::A);
    assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(0));
    assert_eq!(process.stdout.lines(), ["before ACK", "meanwhile ACK"]);
    let stderr = process.stderr.lines().join("\n");
    assert!(is_lost || stderr.contains("203.0.113.1 answers again"), "{stderr}");
}

#[tokio::test]
async fn a_sent_file_survives_thirty_silent_seconds_of_its_sender() {
    if !lab_available() {
        return;
    }
    let options = Server::options().argument("--relay-limit").argument("4MB");
    let topology = behind_nat().with_client_udp_blocked();
    let pair = ProgramPair::start(topology, options, 2 * SIZE).await;
    pair.wait_for_percent(20).await;
    pair.lab.cut(Side::A);
    outage(30).await;
    pair.lab.restore(Side::A);
    let cost = pair.finish().await;
    assert!(cost.received <= SENT_TWICE, "{cost:?}");
}
