//! Two Quiver clients in a lab, with a server between them.

use std::time::Duration;

use quiver_client::peer_path::PeerPath;
use quiver_client::settings::PathPolicy;
use quiver_e2e::nat_lab::{Lab, Side, Topology};
use quiver_e2e::server::ServerOptions;
use quiver_e2e::{Home, Server};

use crate::lab_client::LabClient;

/// Two clients, Ben on side a and Ron on side b, that are connected with a server.
#[derive(Debug)]
pub(crate) struct LabPair {
    pub(crate) clients: [LabClient; 2],
    pub(crate) homes: [Home; 2],
    pub(crate) server: Server,
    pub(crate) lab: Lab,
}

impl LabPair {
    /// Starts the server and both clients.
    pub(crate) async fn start(topology: Topology, paths: [PathPolicy; 2]) -> Self {
        Self::start_with(topology, paths, Server::options()).await
    }

    /// Starts a server with these settings, and both clients.
    pub(crate) async fn start_with(
        topology: Topology,
        paths: [PathPolicy; 2],
        options: ServerOptions,
    ) -> Self {
        let lab = Lab::new(topology);
        let server = options.on_host(lab.server()).start().await;
        let homes = [Home::new(), Home::new()];
        let clients = Self::start_clients(&lab, &server, &homes, paths).await;
        Self { clients, homes, server, lab }
    }

    /// Stops both clients, and starts them again with the same keys and records, and new sockets.
    pub(crate) async fn restart(self, paths: [PathPolicy; 2]) -> Self {
        let Self { clients: [ben, ron], homes, server, lab } = self;
        tokio::join!(ben.stop(), ron.stop());
        let clients = Self::start_clients(&lab, &server, &homes, paths).await;
        Self { clients, homes, server, lab }
    }

    async fn start_clients(
        lab: &Lab,
        server: &Server,
        homes: &[Home; 2],
        paths: [PathPolicy; 2],
    ) -> [LabClient; 2] {
        let start = |side: Side, name| {
            let (host, index) = (lab.client(side), side as usize);
            LabClient::start(host, server, name, paths[index], &homes[index])
        };
        let (ben, ron) = tokio::join!(start(Side::A, "Ben"), start(Side::B, "Ron"));
        [ben, ron]
    }

    /// Connects the clients over the relay; neither has accepted the other. Returns how long it took.
    pub(crate) async fn connect_over_relay(&self) -> Duration {
        let [ben, ron] = &self.clients;
        let took = ben.connect(ron).await;
        let is_relayed = |path: &PeerPath| matches!(path, PeerPath::Relayed { .. });
        ron.wait_for_path(ben, "the relay", is_relayed).await;
        took
    }

    /// Lets both clients accept each other, so that they connect directly.
    pub(crate) async fn accept_each_other(&self) {
        let [ben, ron] = &self.clients;
        ben.tell(ron, "Hello").await;
        ron.tell(ben, "Hi").await;
    }
}
