//! Clients that know each other connect without a relay, or learn why they cannot.

use std::time::Duration;

use quiver_client::peer_path::PeerPath;
use quiver_client::settings::PathPolicy;
use quiver_e2e::nat_lab::Gateway::PortRestricted;
use quiver_e2e::nat_lab::{ClientNetwork, Topology, lab_available};

use crate::lab_pair::LabPair;

/// Starts two clients that have accepted each other in an earlier run. Ben connects directly only.
async fn start_known() -> LabPair {
    let network = ClientNetwork::behind(PortRestricted).with_delay(Duration::from_millis(20));
    let topology = Topology::separate(network, network);
    let pair = LabPair::start(topology, [PathPolicy::Any; 2]).await;
    pair.accept_each_other().await;
    pair.restart([PathPolicy::DirectOnly, PathPolicy::Any]).await
}

#[tokio::test]
async fn clients_that_know_each_other_connect_without_a_relay() {
    if !lab_available() {
        return;
    }
    let pair = start_known().await;
    let [ben, ron] = &pair.clients;
    let took = ben.connect(ron).await;
    println!("connected after {took:.0?}");
    for (client, other) in [(ben, ron), (ron, ben)] {
        let is_direct = |path: &PeerPath| matches!(path, PeerPath::Direct { .. });
        client.wait_for_path(other, "a direct path", is_direct).await;
        client.tell(other, "directly").await;
        assert_eq!(client.status_with(other).map(|status| status.relayed_bytes), Some(0));
    }
}

#[tokio::test]
async fn without_a_relay_and_a_direct_path_the_client_learns_the_reason() {
    if !lab_available() {
        return;
    }
    let pair = start_known().await;
    pair.lab.block_client_udp();
    let [ben, ron] = &pair.clients;
    let to = ron.name();
    let connect = |client: quiver_client::Client| async move { client.connect_peer(&to).await };
    let error = ben.run(connect).await.err().map(|error| error.to_string());
    let why = "the networks do not let the two clients reach each other";
    assert!(error.as_ref().is_some_and(|error| error.contains(why)), "{error:?}");
}
