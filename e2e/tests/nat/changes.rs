//! Changes while a lab runs: other addresses, lost connections, and blocked datagrams.

use quiver_e2e::nat_lab::{ClientNetwork, Gateway, IpVersion, Lab, Side, Topology, lab_available};

use crate::probe::{Probe, bind_probes, lab_behind, lab_of};

#[test]
fn a_new_public_address_replaces_all_mappings() {
    if !lab_available() {
        return;
    }
    for gateway in
        [Gateway::FullCone, Gateway::PortRestricted, Gateway::Symmetric, Gateway::CarrierGrade]
    {
        let mut lab = lab_behind(gateway);
        let (client, server, _) = bind_probes(&lab);
        let mut old = client.mapping(&server);
        for _ in 0..2 {
            let address = lab.change_public_address(Side::A);
            assert_eq!(lab.public_address(Side::A), address);
            assert_ne!(address, old.ip(), "{gateway:?}");
            let new = client.mapping(&server);
            assert_eq!(new.ip(), address, "{gateway:?}");
            assert!(!server.reaches(old, &client, (&server, new)), "{gateway:?}");
            old = new;
        }
    }
}

#[test]
fn a_client_without_nat_gets_another_public_address_itself() {
    if !lab_available() {
        return;
    }
    for ip_version in [IpVersion::V4, IpVersion::V6, IpVersion::Both] {
        let network = ClientNetwork::behind(Gateway::Public);
        let topology = Topology::separate(network, network).with_ip_version(ip_version);
        let mut lab = Lab::new(topology);
        let (client, server, _) = bind_probes(&lab);
        let old = client.mapping(&server);
        let address = lab.change_public_address(Side::A);
        assert_eq!(lab.client(Side::A).address(), address);
        let new = client.mapping(&server);
        assert_eq!(new.ip(), address, "{ip_version:?}");
        assert_ne!(new.ip(), old.ip(), "{ip_version:?}");
    }
}

#[test]
fn a_client_gets_another_local_address_behind_its_nat() {
    if !lab_available() {
        return;
    }
    let mut lab = lab_behind(Gateway::PortRestricted);
    let (client, server, _) = bind_probes(&lab);
    let mapping = client.mapping(&server);
    let old = lab.client(Side::A).address();
    let new = lab.change_local_address(Side::A);
    assert_ne!(new, old);
    assert_eq!(lab.client(Side::A).address(), new);
    let new_mapping = client.mapping(&server);
    assert_eq!(new_mapping.ip(), mapping.ip());
    server.send(new_mapping, b"response");
    assert_eq!(client.receive(), (b"response".to_vec(), server.address()));
}

#[test]
fn a_cut_network_loses_everything_until_it_is_restored() {
    if !lab_available() {
        return;
    }
    let lab = lab_behind(Gateway::PortRestricted);
    let (client, server, third) = bind_probes(&lab);
    let mapping = client.mapping(&server);
    let capture = lab.client(Side::A).capture("eth0", &[]);
    lab.cut(Side::A);
    assert!(!client.reaches(server.address(), &server, (&third, server.address())));
    // A rule loses what the server sends too, and a later socket shows that it has.
    server.send(mapping, b"lost");
    let peer = Probe::bind(lab.client(Side::B));
    peer.mapping(&server);
    lab.restore(Side::A);
    assert_eq!(client.mapping(&server), mapping);
    assert!(client.is_empty());
    let report = capture.report();
    assert_eq!(report.total(|flow| flow.protocol == 1).packets, 0, "{report:?}");
}

#[test]
fn a_block_drops_datagrams_between_the_clients_and_no_others() {
    if !lab_available() {
        return;
    }
    let network = ClientNetwork::behind(Gateway::Public);
    let topology = Topology::separate(network, network).with_client_udp_blocked();
    let lab = Lab::new(topology);
    let (client, server, third) = bind_probes(&lab);
    let peer = Probe::bind(lab.client(Side::B));
    for _ in 0..2 {
        assert!(!client.reaches(peer.address(), &peer, (&server, peer.address())));
        assert!(!peer.reaches(client.address(), &client, (&server, client.address())));
        assert_eq!(client.mapping(&third), client.address());
        lab.unblock_client_udp();
        assert!(client.reaches(peer.address(), &peer, (&server, peer.address())));
        assert!(peer.reaches(client.address(), &client, (&server, client.address())));
        lab.block_client_udp();
    }
}

#[test]
fn labs_run_side_by_side() {
    if !lab_available() {
        return;
    }
    let public = ClientNetwork::behind(Gateway::Public);
    let labs = [lab_behind(Gateway::Symmetric), lab_of(public, public)];
    let probes = labs.each_ref().map(bind_probes);
    assert_ne!(probes[0].0.mapping(&probes[0].1), probes[0].0.address());
    assert_eq!(probes[1].0.mapping(&probes[1].1), probes[1].0.address());
}
