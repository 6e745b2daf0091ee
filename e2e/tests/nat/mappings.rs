//! Which public address and port a gateway gives a client's socket.

use std::collections::HashSet;

use quiver_e2e::nat_lab::{Gateway, Side, lab_available};

use crate::probe::{Probe, bind_probes, lab_behind};

#[test]
fn a_cone_maps_a_socket_to_the_same_address_for_each_destination() {
    if !lab_available() {
        return;
    }
    for gateway in [Gateway::FullCone, Gateway::PortRestricted, Gateway::CarrierGrade] {
        let lab = lab_behind(gateway);
        let (client, server, third) = bind_probes(&lab);
        let mapping = client.mapping(&server);
        assert_eq!(mapping.ip(), lab.public_address(Side::A), "{gateway:?}");
        assert_ne!(mapping.ip(), lab.client(Side::A).address(), "{gateway:?}");
        assert_eq!(client.mapping(&third), mapping, "{gateway:?}");
        let other_port = Probe::bind(lab.server());
        assert_eq!(client.mapping(&other_port), mapping, "{gateway:?}");
    }
}

#[test]
fn a_symmetric_nat_maps_a_socket_to_another_port_for_each_destination() {
    if !lab_available() {
        return;
    }
    let lab = lab_behind(Gateway::Symmetric);
    let (client, server, third) = bind_probes(&lab);
    let other_port = Probe::bind(lab.server());
    let mappings = [&server, &third, &other_port].map(|probe| client.mapping(probe));
    assert!(mappings.iter().all(|mapping| mapping.ip() == lab.public_address(Side::A)));
    let ports: HashSet<u16> = mappings.iter().map(|mapping| mapping.port()).collect();
    assert_eq!(ports.len(), 3, "{mappings:?}");
    // One destination keeps its mapping, and responses arrive.
    assert_eq!(client.mapping(&server), mappings[0]);
    server.send(mappings[0], b"response");
    assert_eq!(client.receive(), (b"response".to_vec(), server.address()));
}

#[test]
fn a_router_and_a_firewall_translate_nothing() {
    if !lab_available() {
        return;
    }
    for gateway in [Gateway::Public, Gateway::Firewall] {
        let lab = lab_behind(gateway);
        let (client, server, third) = bind_probes(&lab);
        assert_eq!(client.mapping(&server), client.address(), "{gateway:?}");
        assert_eq!(client.mapping(&third), client.address(), "{gateway:?}");
        assert_eq!(client.address().ip(), lab.public_address(Side::A), "{gateway:?}");
    }
}

#[test]
fn a_carrier_grade_nat_translates_twice() {
    if !lab_available() {
        return;
    }
    let lab = lab_behind(Gateway::CarrierGrade);
    let between = lab.gateway(Side::A).capture("wan", &[]);
    let (client, server, _) = bind_probes(&lab);
    let mapping = client.mapping(&server);
    let report = between.report();
    let flows: Vec<_> = report.flows().keys().filter(|flow| flow.is_udp()).collect();
    assert_eq!(flows.len(), 1, "{flows:?}");
    let address = flows[0].source.ip();
    assert_ne!(address, mapping.ip());
    assert_ne!(address, client.address().ip());
}
