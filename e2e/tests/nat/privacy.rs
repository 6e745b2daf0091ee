//! What others learn from the packets of two clients: nothing before a contact is accepted, no address with the relay
//! only, and no content at the server.

use std::net::IpAddr;

use quiver_client::peer_path::{NotDirect, PeerPath};
use quiver_client::settings::PathPolicy;
use quiver_e2e::Server;
use quiver_e2e::nat_lab::Gateway::{FullCone, PortRestricted, Public};
use quiver_e2e::nat_lab::{
    Capture, CaptureReport, ClientNetwork, Gateway, Side, Topology, lab_available,
};

use crate::lab_pair::LabPair;
use crate::offered_file::{OfferedFile, PATTERN};

const SIZE: usize = 8 * 1024 * 1024;

fn both_behind(gateway: Gateway) -> Topology {
    Topology::separate(ClientNetwork::behind(gateway), ClientNetwork::behind(gateway))
}

/// Captures at the interfaces of both clients.
fn capture_at_clients(pair: &LabPair, plaintexts: &[&[u8]]) -> [Capture; 2] {
    Side::BOTH.map(|side| pair.lab.client(side).capture("eth0", plaintexts))
}

/// Checks that the clients exchange UDP packets with the server and with no other host.
fn check_server_only(pair: &LabPair, captures: &[Capture; 2]) {
    let server = pair.server.address().ip();
    for capture in captures {
        let report = capture.report();
        let others = report.total(|flow| {
            flow.is_udp() && flow.source.ip() != server && flow.destination.ip() != server
        });
        assert_eq!(others.packets, 0, "{report:?}");
        assert!(report.total(|flow| flow.source.ip() == server).packets > 0);
    }
}

#[tokio::test]
async fn no_packet_goes_to_the_other_client_before_both_have_accepted() {
    if !lab_available() {
        return;
    }
    for gateway in [Public, PortRestricted] {
        let pair = LabPair::start(both_behind(gateway), [PathPolicy::Any; 2]).await;
        let captures = capture_at_clients(&pair, &[]);
        pair.connect_over_relay().await;
        let [ben, ron] = &pair.clients;
        // Only Ben accepts. His client tries to connect directly, which Ron's declines.
        ben.tell(ron, "Hello").await;
        let declined = PeerPath::Relayed { why: NotDirect::NotAcceptedRemotely };
        ben.wait_for_path(ron, "a refused dial", |path| *path == declined).await;
        let why = NotDirect::NotAcceptedLocally;
        assert_eq!(ron.path_to(ben), PeerPath::Relayed { why });
        ben.tell(ron, "Are you there?").await;
        check_server_only(&pair, &captures);
        ron.tell(ben, "Yes").await;
        ben.wait_until_direct().await;
        let between = captures[0]
            .report()
            .total(|flow| flow.is_between(ben_address(&pair), pair.lab.public_address(Side::B)));
        assert!(between.packets > 0);
    }
}

fn ben_address(pair: &LabPair) -> IpAddr {
    pair.lab.client(Side::A).address()
}

#[tokio::test]
async fn with_the_relay_only_no_packet_goes_to_the_other_client() {
    if !lab_available() {
        return;
    }
    for paths in [
        [PathPolicy::RelayOnly, PathPolicy::Any],
        [PathPolicy::Any, PathPolicy::RelayOnly],
        [PathPolicy::RelayOnly; 2],
    ] {
        let options = Server::options().environment("RUST_LOG", "quiver_server=debug");
        let pair = LabPair::start_with(both_behind(FullCone), paths, options).await;
        let captures = capture_at_clients(&pair, &[PATTERN]);
        pair.connect_over_relay().await;
        pair.accept_each_other().await;
        OfferedFile::start(&pair, SIZE).await.finish(&pair).await;
        check_server_only(&pair, &captures);
        for capture in &captures {
            assert_eq!(capture.report().plaintexts(), []);
        }
        let [ben, ron] = &pair.clients;
        assert!(matches!(ben.path_to(ron), PeerPath::Relayed { .. }));
        for (name, paths) in [("Ben", paths[0]), ("Ron", paths[1])] {
            let agreements = pair.server.log().count(&format!("{name} agrees to a direct"));
            assert_eq!(agreements > 0, paths == PathPolicy::Any, "{name}");
        }
    }
}

#[tokio::test]
async fn the_server_sees_no_content_of_a_direct_transfer() {
    if !lab_available() {
        return;
    }
    let pair = LabPair::start(both_behind(PortRestricted), [PathPolicy::Any; 2]).await;
    pair.accept_each_other().await;
    for client in &pair.clients {
        client.wait_until_direct().await;
    }
    let at_server = pair.lab.server().capture("eth0", &[PATTERN]);
    let at_client = pair.lab.client(Side::B).capture("eth0", &[PATTERN]);
    OfferedFile::start(&pair, SIZE).await.finish(&pair).await;
    let udp = |report: &CaptureReport| report.total(|flow| flow.is_udp()).payload_bytes;
    let (at_server, at_client) = (at_server.report(), at_client.report());
    assert!(udp(&at_client) > SIZE as u64, "{at_client:?}");
    assert!(udp(&at_server) < 64 * 1024, "{at_server:?}");
    assert_eq!((at_server.plaintexts(), at_client.plaintexts()), (&[][..], &[][..]));
}

#[tokio::test]
async fn the_server_sees_no_plaintext_of_a_relayed_transfer() {
    if !lab_available() {
        return;
    }
    let topology = both_behind(PortRestricted).with_client_udp_blocked();
    let pair = LabPair::start(topology, [PathPolicy::RelayOnly; 2]).await;
    let at_server = pair.lab.server().capture("eth0", &[PATTERN]);
    OfferedFile::start(&pair, SIZE).await.finish(&pair).await;
    let report = at_server.report();
    // The file passes the server in both directions.
    assert!(report.total(|flow| flow.is_udp()).payload_bytes > 2 * SIZE as u64, "{report:?}");
    assert_eq!(report.plaintexts(), []);
}
