//! Which path two clients get between which networks, and why.

#![expect(clippy::print_stdout, reason = "people compare the times with the aims")]

use std::time::{Duration, Instant};

use quiver_client::peer_path::{NotDirect, PeerPath};
use quiver_client::settings::PathPolicy;
use quiver_e2e::nat_lab::Gateway::{
    CarrierGrade, Firewall, FullCone, PortRestricted, Public, Symmetric,
};
use quiver_e2e::nat_lab::{
    ClientNetwork, Gateway, IpVersion, Side, Topology, WanInput, lab_available,
};

use crate::lab_pair::LabPair;

/// Of each client's packets on their way to the server; twice as long on their way to the other client.
const DELAY: Duration = Duration::from_millis(20);

/// The aim is 1.5 s. A larger limit, because other tests run at the same time.
const RELAY_LIMIT: Duration = Duration::from_secs(8);

/// The aim is 3 s.
const DIRECT_LIMIT: Duration = Duration::from_secs(15);

/// Checks that both clients get a direct path.
async fn expect_direct(cell: &str, topology: Topology) -> LabPair {
    let pair = LabPair::start(topology, [PathPolicy::Any; 2]).await;
    let relay = pair.connect_over_relay().await;
    let [ben, ron] = &pair.clients;
    ben.tell(ron, "Hello").await;
    let accepted = Instant::now();
    ron.tell(ben, "Hi").await;
    let direct = ben.wait_until_direct().await.max(ron.wait_until_direct().await) - accepted;
    println!("{cell}: relay {relay:.0?}, direct {direct:.0?}");
    assert!(relay < RELAY_LIMIT && direct < DIRECT_LIMIT, "slow: {relay:?}, {direct:?}");
    ben.tell(ron, "directly").await;
    pair
}

/// Checks that the clients stay connected over the relay.
async fn expect_relayed(cell: &str, topology: Topology) {
    let pair = LabPair::start(topology, [PathPolicy::Any; 2]).await;
    let relay = pair.connect_over_relay().await;
    pair.accept_each_other().await;
    let [ben, ron] = &pair.clients;
    let expected = PeerPath::Relayed { why: NotDirect::Unreachable };
    for (client, other) in [(ben, ron), (ron, ben)] {
        client.wait_for_path(other, "the end of all attempts", |path| *path == expected).await;
    }
    println!("{cell}: relay {relay:.0?}, relayed");
    assert!(relay < RELAY_LIMIT, "slow: {relay:?}");
    ben.tell(ron, "over the relay").await;
}

fn behind(gateway: Gateway) -> ClientNetwork {
    ClientNetwork::behind(gateway).with_delay(DELAY)
}

fn between(a: Gateway, b: Gateway) -> Topology {
    Topology::separate(behind(a), behind(b))
}

#[tokio::test]
async fn clients_with_public_addresses_connect_directly() {
    if lab_available() {
        expect_direct("none/none", between(Public, Public)).await;
    }
}

#[tokio::test]
async fn clients_behind_full_cone_nats_connect_directly() {
    if lab_available() {
        expect_direct("full cone/full cone", between(FullCone, FullCone)).await;
    }
}

#[tokio::test]
async fn clients_behind_port_restricted_nats_connect_directly() {
    if lab_available() {
        let topology = between(PortRestricted, PortRestricted);
        let pair = expect_direct("port-restricted/port-restricted", topology).await;
        let [ben, ron] = &pair.clients;
        let PeerPath::Direct { address } = ben.path_to(ron) else { panic!("not direct") };
        assert_eq!(address.ip(), pair.lab.public_address(Side::B));
    }
}

#[tokio::test]
async fn a_client_behind_a_symmetric_nat_reaches_a_full_cone_nat() {
    if lab_available() {
        expect_direct("symmetric/full cone", between(Symmetric, FullCone)).await;
        expect_direct("full cone/symmetric", between(FullCone, Symmetric)).await;
    }
}

#[tokio::test]
async fn a_symmetric_and_a_port_restricted_nat_leave_the_relay() {
    if lab_available() {
        expect_relayed("symmetric/port-restricted", between(Symmetric, PortRestricted)).await;
    }
}

#[tokio::test]
async fn two_symmetric_nats_leave_the_relay() {
    if lab_available() {
        expect_relayed("symmetric/symmetric", between(Symmetric, Symmetric)).await;
    }
}

#[tokio::test]
async fn clients_behind_one_nat_connect_in_their_local_network() {
    if !lab_available() {
        return;
    }
    for hairpin in [false, true] {
        let topology = Topology::shared(behind(PortRestricted), hairpin);
        let pair = expect_direct(&format!("one NAT, hairpin {hairpin}"), topology).await;
        let [ben, ron] = &pair.clients;
        let PeerPath::Direct { address } = ben.path_to(ron) else { panic!("not direct") };
        assert_eq!(address.ip(), pair.lab.client(Side::B).address(), "hairpin: {hairpin}");
    }
}

#[tokio::test]
async fn clients_behind_carrier_grade_nats_connect_directly() {
    if lab_available() {
        expect_direct("CGNAT/CGNAT", between(CarrierGrade, CarrierGrade)).await;
        expect_direct("CGNAT/port-restricted", between(CarrierGrade, PortRestricted)).await;
    }
}

#[tokio::test]
async fn clients_with_ipv6_only_connect_directly_through_firewalls() {
    if lab_available() {
        let topology = between(Firewall, Firewall).with_ip_version(IpVersion::V6);
        let pair = expect_direct("IPv6 only", topology).await;
        let PeerPath::Direct { address } = pair.clients[0].path_to(&pair.clients[1]) else {
            panic!("not direct")
        };
        assert_eq!(address.ip(), pair.lab.client(Side::B).address());
    }
}

#[tokio::test]
async fn clients_with_both_versions_behind_symmetric_nats_connect_with_ipv6() {
    if lab_available() {
        let topology = between(Symmetric, Symmetric).with_ip_version(IpVersion::Both);
        let pair = expect_direct("symmetric/symmetric with IPv6", topology).await;
        let path = pair.clients[0].path_to(&pair.clients[1]);
        assert!(matches!(path, PeerPath::Direct { address } if address.is_ipv6()), "{path:?}");
    }
}

#[tokio::test]
async fn blocked_datagrams_between_the_clients_leave_the_relay() {
    if lab_available() {
        let topology = between(PortRestricted, PortRestricted).with_client_udp_blocked();
        expect_relayed("blocked", topology).await;
    }
}

#[tokio::test]
async fn clients_behind_gateways_that_reject_or_accept_early_packets_connect_directly() {
    if !lab_available() {
        return;
    }
    for input in [WanInput::Reject, WanInput::Accept] {
        let network = behind(PortRestricted).with_wan_input(input);
        let topology = Topology::separate(network, network);
        expect_direct(&format!("WAN input {input:?}"), topology).await;
    }
}

#[tokio::test]
async fn clients_with_paths_of_1280_bytes_connect_directly() {
    if lab_available() {
        let network = behind(PortRestricted).with_mtu(1280);
        expect_direct("MTU 1280", Topology::separate(network, network)).await;
    }
}

#[tokio::test]
async fn clients_with_eight_useless_interfaces_connect_directly() {
    if lab_available() {
        let network = behind(PortRestricted).with_useless_interfaces(8);
        expect_direct("eight useless interfaces", Topology::separate(network, network)).await;
    }
}
