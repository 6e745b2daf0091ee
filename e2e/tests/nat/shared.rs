//! Two clients behind one NAT.

use quiver_e2e::nat_lab::{ClientNetwork, Gateway, Lab, Side, Topology, lab_available};

use crate::probe::Probe;

struct SharedLab {
    lab: Lab,
    server: Probe,
    clients: [Probe; 2],
}

impl SharedLab {
    fn new(gateway: Gateway, hairpin: bool) -> Self {
        let lab = Lab::new(Topology::shared(ClientNetwork::behind(gateway), hairpin));
        let server = Probe::bind(lab.server());
        let clients = Side::BOTH.map(|side| Probe::bind(lab.client(side)));
        Self { lab, server, clients }
    }
}

#[test]
fn clients_behind_one_nat_reach_each_other_in_their_network() {
    if !lab_available() {
        return;
    }
    for gateway in [Gateway::FullCone, Gateway::PortRestricted, Gateway::Symmetric] {
        let SharedLab { lab, server, clients: [a, b] } = SharedLab::new(gateway, false);
        assert_eq!(a.mapping(&b), a.address(), "{gateway:?}");
        assert_eq!(b.mapping(&a), b.address(), "{gateway:?}");
        let mappings = [a.mapping(&server), b.mapping(&server)];
        assert_eq!(lab.public_address(Side::A), lab.public_address(Side::B));
        assert!(mappings.iter().all(|mapping| mapping.ip() == lab.public_address(Side::A)));
    }
}

#[test]
fn with_a_hairpin_clients_reach_each_other_at_their_public_address() {
    if !lab_available() {
        return;
    }
    for gateway in [Gateway::FullCone, Gateway::PortRestricted] {
        let SharedLab { lab: _lab, server, clients: [a, b] } = SharedLab::new(gateway, true);
        let (of_a, of_b) = (a.mapping(&server), b.mapping(&server));
        a.send(of_b, b"hairpin");
        assert_eq!(b.receive(), (b"hairpin".to_vec(), of_a), "{gateway:?}");
        b.send(of_a, b"response");
        assert_eq!(a.receive(), (b"response".to_vec(), of_b), "{gateway:?}");
    }
}

#[test]
fn without_a_hairpin_clients_do_not_reach_each_other_at_their_public_address() {
    if !lab_available() {
        return;
    }
    for gateway in [Gateway::FullCone, Gateway::PortRestricted, Gateway::Symmetric] {
        let SharedLab { lab: _lab, server, clients: [a, b] } = SharedLab::new(gateway, false);
        let (of_a, of_b) = (a.mapping(&server), b.mapping(&server));
        assert!(!a.reaches(of_b, &b, (&server, of_b)), "{gateway:?}");
        assert!(!b.reaches(of_a, &a, (&server, of_a)), "{gateway:?}");
    }
}

#[test]
fn a_block_applies_to_the_local_network_and_to_the_hairpin() {
    if !lab_available() {
        return;
    }
    let SharedLab { lab, server, clients: [a, b] } = SharedLab::new(Gateway::FullCone, true);
    let of_b = b.mapping(&server);
    a.mapping(&server);
    lab.block_client_udp();
    assert!(!a.reaches(b.address(), &b, (&server, of_b)));
    assert!(!a.reaches(of_b, &b, (&server, of_b)));
    lab.unblock_client_udp();
    assert!(a.reaches(b.address(), &b, (&server, of_b)));
    assert!(a.reaches(of_b, &b, (&server, of_b)));
}
