//! Packets of strangers: clients do not answer them, and send few to machines that are not theirs.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::net::{IpAddr, SocketAddr};

use quiver_client::peer_path::{NotDirect, PeerPath};
use quiver_client::settings::PathPolicy;
use quiver_e2e::nat_lab::Gateway::{FullCone, Public, Symmetric};
use quiver_e2e::nat_lab::{ClientNetwork, IpVersion, Side, Topology, lab_available};
use quiver_e2e::process::run;
use quiver_e2e::random::Random;

use crate::lab_pair::LabPair;
use crate::probe::Probe;

/// Packets that may be sent to an address that another client lists, for each introduction.
const PACKETS_PER_ADDRESS: u64 = 27;

/// A packet of `length` bytes with a long header of QUIC (RFC 9000, 17.2.2), that is zero after its header.
fn long_header(version: u32, id: &[u8], length: usize) -> Vec<u8> {
    let mut packet = vec![0xc0];
    packet.extend(version.to_be_bytes());
    for id in [id, &[7; 8]] {
        packet.push(u8::try_from(id.len()).unwrap());
        packet.extend(id);
    }
    // No token, and the length of the rest as a number of two bytes.
    packet.push(0);
    let rest = u16::try_from(length - packet.len() - 2).unwrap();
    packet.extend((0x4000 | rest).to_be_bytes());
    packet.resize(length, 0);
    packet
}

/// What a stranger may send, in sizes that QUIC answers and in others.
fn strange_packets() -> Vec<Vec<u8>> {
    let mut random = Random::new(6);
    let mut packets = Vec::new();
    for length in [1, 5, 20, 40, 1200, 1472] {
        for first in [0x00, 0x40, 0x80, 0xc0] {
            let mut packet = random.bytes(length);
            packet[0] = first | packet[0] & 0x3f;
            packets.push(packet);
        }
    }
    for id_length in [0, 1, 4, 7, 8, 9, 16, 20, 21] {
        let id = random.bytes(id_length);
        for version in [0, 1, 2, 0xff00_001d, 0x6b33_43cf, 0x0a0a_0a0a] {
            packets.push(long_header(version, &id, 1200));
        }
    }
    packets
}

/// Sends strange packets to Ben's socket from a third host, and checks that it answers none.
async fn assert_answers_no_stranger(pair: &LabPair, address: SocketAddr) {
    let [ben, ron] = &pair.clients;
    let stranger = Probe::bind(pair.lab.third_host());
    let capture = pair.lab.client(Side::A).capture("eth0", &[]);
    let packets = strange_packets();
    for packet in &packets {
        stranger.send(address, packet);
    }
    let count = packets.len() as u64;
    let _ = capture.wait_until("the packets of the stranger", |report| {
        report.total(|flow| flow.source == stranger.address()).packets == count
    });
    // A round trip with the client after it has received all of them.
    ron.tell(ben, "Are you there?").await;
    let report = capture.report();
    let answers = report.total(|flow| flow.destination == stranger.address());
    assert_eq!(answers.packets, 0, "{report:?}");
}

#[tokio::test]
async fn a_client_that_accepts_direct_dials_answers_no_stranger() {
    if !lab_available() {
        return;
    }
    let network = ClientNetwork::behind(Public);
    let topology = Topology::separate(network, network);
    let pair = LabPair::start(topology, [PathPolicy::Any; 2]).await;
    pair.accept_each_other().await;
    let [ben, ron] = &pair.clients;
    ben.wait_until_direct().await;
    ron.wait_until_direct().await;
    let PeerPath::Direct { address } = ron.path_to(ben) else { panic!("not direct") };
    assert_answers_no_stranger(&pair, address).await;
    assert!(matches!(ben.path_to(ron), PeerPath::Direct { .. }));
}

#[tokio::test]
async fn a_client_that_never_connects_directly_answers_no_stranger() {
    if !lab_available() {
        return;
    }
    let network = ClientNetwork::behind(Public);
    let topology = Topology::separate(network, network);
    let pair = LabPair::start(topology, [PathPolicy::RelayOnly; 2]).await;
    let capture = pair.lab.client(Side::A).capture("eth0", &[]);
    let [ben, ron] = &pair.clients;
    ben.tell(ron, "Hello").await;
    let host = pair.lab.client(Side::A).address();
    let report = capture.report();
    let sent = report.flows().keys().find(|flow| flow.is_udp() && flow.source.ip() == host);
    let address = sent.expect("packets to the server").source;
    assert_answers_no_stranger(&pair, address).await;
}

/// Gives a client's host an address that it cannot use, and that the client lists as its own.
fn add_foreign_address(pair: &LabPair, side: Side, address: IpAddr) {
    let mut add = pair.lab.client(side).command("ip");
    let length = if address.is_ipv4() { 32 } else { 128 };
    run(add.args(["addr", "add", &format!("{address}/{length}"), "dev", "lo"]), b"").expect(0);
}

#[tokio::test]
async fn a_third_machine_that_a_client_lists_gets_few_packets() {
    if !lab_available() {
        return;
    }
    // The networks do not let the clients reach each other, so all rounds run.
    let (a, b) = (ClientNetwork::behind(Symmetric), ClientNetwork::behind(FullCone));
    let topology = Topology::separate(a, b).with_client_udp_blocked();
    let pair = LabPair::start(topology, [PathPolicy::Any; 2]).await;
    let third = pair.lab.third_host().address();
    add_foreign_address(&pair, Side::B, third);
    let capture = pair.lab.third_host().capture("eth0", &[]);
    pair.accept_each_other().await;
    let [ben, ron] = &pair.clients;
    let unreachable = PeerPath::Relayed { why: NotDirect::Unreachable };
    for (client, other) in [(ben, ron), (ron, ben)] {
        client.wait_for_path(other, "the end of all rounds", |path| *path == unreachable).await;
    }
    let report = capture.report();
    let received = report.total(|flow| flow.is_udp() && flow.destination.ip() == third);
    println!("{} packets reached the third machine", received.packets);
    assert!((1..=PACKETS_PER_ADDRESS).contains(&received.packets), "{report:?}");
}

#[tokio::test]
async fn a_machine_with_all_addresses_of_an_ipv6_network_gets_few_packets() {
    if !lab_available() {
        return;
    }
    let network = ClientNetwork::behind(Public);
    let topology = Topology::separate(network, network).with_ip_version(IpVersion::Both);
    let pair = LabPair::start(topology.with_client_udp_blocked(), [PathPolicy::Any; 2]).await;
    // Documentation addresses (RFC 3849) outside of the lab's networks.
    let foreign = |host: u16| IpAddr::from([0x2001, 0xdb8, 0x77, 0, 0, 0, 0, host]);
    for host in 1..=20 {
        add_foreign_address(&pair, Side::B, foreign(host));
    }
    let capture = pair.lab.client(Side::A).capture("eth0", &[]);
    pair.accept_each_other().await;
    let [ben, ron] = &pair.clients;
    let unreachable = PeerPath::Relayed { why: NotDirect::Unreachable };
    for (client, other) in [(ben, ron), (ron, ben)] {
        client.wait_for_path(other, "the end of all rounds", |path| *path == unreachable).await;
    }
    let report = capture.report();
    let in_network = |ip: IpAddr| (1..=20).any(|host| foreign(host) == ip);
    let sent = report.total(|flow| flow.is_udp() && in_network(flow.destination.ip()));
    println!("{} packets were sent to the network", sent.packets);
    assert!((1..=PACKETS_PER_ADDRESS).contains(&sent.packets), "{report:?}");
}
