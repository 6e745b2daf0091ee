//! Which datagrams from outside pass a gateway.

use std::net::SocketAddr;

use quiver_e2e::nat_lab::{ClientNetwork, Gateway, Side, WanInput, lab_available};

use crate::probe::{Probe, bind_probes, lab_behind, lab_of};

#[test]
fn a_full_cone_accepts_unknown_sources_at_mapped_ports_only() {
    if !lab_available() {
        return;
    }
    let lab = lab_behind(Gateway::FullCone);
    let (client, server, third) = bind_probes(&lab);
    let mapping = client.mapping(&server);
    assert!(third.reaches(mapping, &client, (&server, mapping)));
    let peer = Probe::bind(lab.client(Side::B));
    assert!(peer.reaches(mapping, &client, (&server, mapping)));
    let unmapped = Probe::bind(lab.client(Side::A));
    let unmapped_port = SocketAddr::new(mapping.ip(), unmapped.port());
    assert!(!third.reaches(unmapped_port, &client, (&server, mapping)));
    assert!(unmapped.is_empty());
    // The client's responses have the mapped port too.
    assert_eq!(client.mapping(&third), mapping);
}

#[test]
fn gateways_that_restrict_drop_unknown_sources() {
    if !lab_available() {
        return;
    }
    for gateway in
        [Gateway::Firewall, Gateway::PortRestricted, Gateway::Symmetric, Gateway::CarrierGrade]
    {
        let lab = lab_behind(gateway);
        let (client, server, third) = bind_probes(&lab);
        let mapping = client.mapping(&server);
        let known = (&server, mapping);
        assert!(!third.reaches(mapping, &client, known), "{gateway:?}");
        let other_port = Probe::bind(lab.server());
        assert!(!other_port.reaches(mapping, &client, known), "{gateway:?}: another port");
        // Both are known once the client has sent to them.
        let third_mapping = client.mapping(&third);
        assert!(third.reaches(third_mapping, &client, known), "{gateway:?}");
    }
}

#[test]
fn a_router_accepts_unknown_sources_at_all_ports() {
    if !lab_available() {
        return;
    }
    let lab = lab_behind(Gateway::Public);
    let (client, server, third) = bind_probes(&lab);
    let known = (&server, client.address());
    assert!(third.reaches(client.address(), &client, known));
}

/// Sends a peer's early datagram to a client behind a gateway, and lets the client send to the peer then. Returns
/// whether the client has the same port for the peer as for the server.
fn keeps_port_after_early_datagram(wan_input: WanInput) -> bool {
    let behind_nat = ClientNetwork::behind(Gateway::PortRestricted).with_wan_input(wan_input);
    let lab = lab_of(behind_nat, ClientNetwork::behind(Gateway::Public));
    let (client, server, _) = bind_probes(&lab);
    let peer = Probe::bind(lab.client(Side::B));
    let mapping = client.mapping(&server);
    assert!(!peer.reaches(mapping, &client, (&server, mapping)), "{wan_input:?}");
    client.mapping(&peer) == mapping
}

#[test]
fn a_nat_that_accepts_an_early_datagram_changes_the_port() {
    if lab_available() {
        assert!(!keeps_port_after_early_datagram(WanInput::Accept));
    }
}

#[test]
fn a_nat_that_drops_or_rejects_an_early_datagram_keeps_the_port() {
    if lab_available() {
        assert!(keeps_port_after_early_datagram(WanInput::Drop));
        assert!(keeps_port_after_early_datagram(WanInput::Reject));
    }
}

#[test]
fn only_a_gateway_that_drops_reports_no_unreachable_port() {
    if !lab_available() {
        return;
    }
    for wan_input in [WanInput::Drop, WanInput::Accept, WanInput::Reject] {
        let behind_nat = ClientNetwork::behind(Gateway::PortRestricted).with_wan_input(wan_input);
        let lab = lab_of(behind_nat, ClientNetwork::behind(Gateway::Public));
        let (client, server, third) = bind_probes(&lab);
        let mapping = client.mapping(&server);
        let capture = lab.third_host().capture("eth0", &[]);
        assert!(!third.reaches(mapping, &client, (&server, mapping)));
        let reports = || capture.report().total(|flow| flow.protocol == 1).packets;
        if wan_input == WanInput::Drop {
            assert_eq!(reports(), 0);
        } else {
            let report = capture.wait_until("a report of an unreachable port", |report| {
                report.total(|flow| flow.protocol == 1).packets == 1
            });
            assert_eq!(report.total(|flow| flow.is_udp()).packets, 1, "{report:?}");
        }
    }
}
