//! Quiver's own programs on the hosts of a lab.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::time::Duration;

use quiver_e2e::nat_lab::{ClientNetwork, Gateway, IpVersion, Lab, Side, Topology, lab_available};
use quiver_e2e::{Home, Server};

/// What the file consists of: repeated, so that each packet would contain it.
const PLAINTEXT: &[u8] = b"a line of the file; ";

/// Gets a file from a server in a lab, and looks for its content between them.
async fn get_a_file(topology: Topology) {
    let lab = Lab::new(topology);
    let server = Server::options().on_host(lab.server()).start().await;
    assert_eq!(server.address().ip(), lab.server().address());
    server.add_file("notes.txt", PLAINTEXT.repeat(100_000));
    let home = Home::new();
    let capture = lab.internet().capture("server", &[PLAINTEXT]);
    let quiver = home.quiver_as(&server, "Ron", ["get", "notes.txt"]);
    quiver.on_host(lab.client(Side::A)).run().await.expect(0);
    assert_eq!(fs::read(home.file("notes.txt")).unwrap(), PLAINTEXT.repeat(100_000));
    let report = capture.report();
    let client = lab.public_address(Side::A);
    let content = report.total(|flow| flow.destination.ip() == client && flow.is_udp());
    assert!(content.payload_bytes > 2_000_000, "{content:?}");
    assert!(content.bytes <= content.packets * 1500, "datagrams are joined: {content:?}");
    assert_eq!(report.plaintexts(), []);
    let server = server.address().ip();
    let other = report.total(|flow| flow.is_udp() && !flow.is_between(client, server));
    assert_eq!(other.packets, 0, "{report:?}");
}

#[tokio::test]
async fn a_client_behind_a_nat_gets_a_file_with_a_delay() {
    if lab_available() {
        let network = ClientNetwork::behind(Gateway::Symmetric).with_mtu(1280);
        let delayed = network.with_delay(Duration::from_millis(5));
        get_a_file(Topology::separate(delayed, network)).await;
    }
}

#[tokio::test]
async fn a_client_of_ipv6_gets_a_file() {
    if lab_available() {
        let network = ClientNetwork::behind(Gateway::Firewall);
        let topology = Topology::separate(network, network).with_ip_version(IpVersion::V6);
        get_a_file(topology).await;
    }
}
