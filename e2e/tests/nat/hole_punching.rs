//! Between which gateways two clients that send at once reach each other, with plain datagrams.

use quiver_e2e::nat_lab::Gateway::{
    CarrierGrade, Firewall, FullCone, PortRestricted, Public, Symmetric,
};
use quiver_e2e::nat_lab::{ClientNetwork, Gateway, Lab, Side, lab_available};

use crate::probe::{Probe, lab_of};

/// Rounds in which both clients send; each answers to the source of what it received.
const ROUNDS: usize = 3;

/// Whether both clients receive datagrams of each other, if each sends to the address that the server sees of the
/// other.
fn punch(lab: &Lab) -> bool {
    let server = Probe::bind(lab.server());
    let clients = Side::BOTH.map(|side| Probe::bind(lab.client(side)));
    let mappings = [0, 1].map(|client| clients[client].mapping(&server));
    let mut destinations = [mappings[1], mappings[0]];
    let mut received = [false; 2];
    for _ in 0..ROUNDS {
        for (client, destination) in clients.iter().zip(destinations) {
            client.send(destination, b"punch");
        }
        for (number, client) in clients.iter().enumerate() {
            server.send(mappings[number], b"end of round");
            loop {
                let (content, source) = client.receive();
                if content == b"end of round" {
                    break;
                }
                received[number] = true;
                destinations[number] = source;
            }
        }
    }
    received == [true; 2]
}

/// Punches between each pair of gateways.
fn check_pairs(pairs: &[(Gateway, Gateway)], works: bool) {
    if !lab_available() {
        return;
    }
    for (a, b) in pairs {
        let lab = lab_of(ClientNetwork::behind(*a), ClientNetwork::behind(*b));
        assert_eq!(punch(&lab), works, "{a:?} and {b:?}");
    }
}

#[test]
fn punching_works_if_one_client_is_reached_by_all_hosts() {
    check_pairs(&[(Public, PortRestricted), (Public, Symmetric)], true);
    check_pairs(&[(FullCone, FullCone), (FullCone, PortRestricted), (FullCone, Symmetric)], true);
}

#[test]
fn punching_works_between_gateways_that_keep_a_mapping() {
    check_pairs(&[(PortRestricted, PortRestricted), (CarrierGrade, PortRestricted)], true);
    check_pairs(&[(Firewall, Firewall), (Firewall, PortRestricted)], true);
}

#[test]
fn punching_fails_if_a_symmetric_nat_meets_a_gateway_that_restricts_ports() {
    check_pairs(&[(PortRestricted, Symmetric), (Firewall, Symmetric)], false);
    check_pairs(&[(Symmetric, Symmetric)], false);
}

#[test]
fn punching_fails_while_datagrams_between_the_clients_are_blocked() {
    if !lab_available() {
        return;
    }
    let network = ClientNetwork::behind(FullCone);
    let lab = lab_of(network, network);
    lab.block_client_udp();
    assert!(!punch(&lab));
    lab.unblock_client_udp();
    assert!(punch(&lab));
}
