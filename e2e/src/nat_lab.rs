//! Emulated networks for tests of hole punching: two clients behind NATs, and a server and a third host in a
//! public network. Each host is a network namespace of its own; the kernel routes and translates between them.
//! Knows nothing of Quiver.
//!
//! A lab needs root. Its namespaces have no names and exist as long as the lab, so labs run in parallel, and a
//! killed test leaves none behind.

mod addresses;
mod availability;
mod capture;
mod emulated_connection;
mod host;
mod network;
mod packet;
mod rules;
mod topology;

use std::net::IpAddr;

pub use capture::{Capture, CaptureReport, FlowTotal, PlaintextFound};
pub use host::Host;
pub use packet::Flow;
pub use topology::{ClientNetwork, Gateway, IpVersion, Side, Topology, WanInput};

use addresses::{AddressPlan, of_version};
use network::AccessNetwork;

use crate::namespace::{MissingFeature, is_available, kill_abandoned_processes, kill_processes_in};
use crate::path_emulator::LinkSettings;

/// Emulated networks with their hosts. A drop kills all programs on the hosts, and removes the networks.
#[derive(Debug)]
pub struct Lab {
    topology: Topology,
    internet: Host,
    server: Host,
    third: Host,
    clients: [Host; 2],
    /// One for each client, or one that they share.
    access: Vec<AccessNetwork>,
    /// How often the local address of each client has changed.
    local_generations: [u8; 2],
    /// How often the public address of each client has changed.
    public_generations: [u8; 2],
}

/// Whether labs can be built here; prints a note if not.
///
/// # Panics
/// If they cannot be built in continuous integration.
#[must_use]
pub fn lab_available() -> bool {
    is_available("NAT lab", &Lab::available())
}

impl Lab {
    /// Whether labs can be built here.
    ///
    /// # Errors
    /// What is missing.
    pub fn available() -> Result<(), MissingFeature> {
        availability::check()
    }

    /// Builds the networks. Check [`lab_available`] first. Also kills the programs of labs whose test was killed.
    ///
    /// # Panics
    /// If a network cannot be built.
    #[must_use]
    pub fn new(topology: Topology) -> Self {
        kill_abandoned_processes();
        let (internet, server, third) =
            network::create_public_hosts(topology).expect("hosts of the public network");
        let sides = if topology.is_shared() { &[Side::A][..] } else { &Side::BOTH };
        let access: Vec<_> = sides
            .iter()
            .map(|side| {
                network::create_access_network(topology, *side, &internet.namespace)
                    .expect("a client's network")
            })
            .collect();
        let clients = Side::BOTH.map(|side| {
            let gateway = &access[side as usize % access.len()].gateway;
            network::create_client(topology, side, gateway).expect("a client")
        });
        let lab = Self {
            topology,
            internet,
            server,
            third,
            clients,
            access,
            local_generations: [0; 2],
            public_generations: [0; 2],
        };
        for host in lab.hosts() {
            host.namespace.wait_for_interfaces();
        }
        if topology.blocks_client_udp {
            lab.block_client_udp();
        }
        lab
    }

    /// The server, in the public network.
    #[must_use]
    pub fn server(&self) -> &Host {
        &self.server
    }

    /// A host in the public network that is neither client nor server.
    #[must_use]
    pub fn third_host(&self) -> &Host {
        &self.third
    }

    /// The router of the public network.
    #[must_use]
    pub fn internet(&self) -> &Host {
        &self.internet
    }

    /// A client.
    #[must_use]
    pub fn client(&self, side: Side) -> &Host {
        &self.clients[side as usize]
    }

    /// A client's gateway; both clients have the same if they share a network.
    #[must_use]
    pub fn gateway(&self, side: Side) -> &Host {
        &self.access(side).gateway
    }

    /// The gateway of a client's provider, for [`Gateway::CarrierGrade`].
    #[must_use]
    pub fn carrier(&self, side: Side) -> Option<&Host> {
        self.access(side).carrier.as_ref()
    }

    /// The address that a client has in the public network; the IPv4 address if it has both.
    #[must_use]
    pub fn public_address(&self, side: Side) -> IpAddr {
        if self.is_translated(side) {
            let plan = AddressPlan::new(self.topology, side);
            IpAddr::V4(plan.wan(self.public_generations[self.network_index(side)]))
        } else {
            self.client(side).address()
        }
    }

    /// Drops all UDP between the clients from now on; both still reach the server. Also in a shared local network.
    ///
    /// # Panics
    /// If it is blocked already.
    pub fn block_client_udp(&self) {
        if self.topology.is_shared() {
            let gateway = self.gateway(Side::A);
            gateway.add_rules(&rules::block_client_udp("bridge"));
            gateway.add_rules(rules::block_hairpin());
        } else {
            self.internet.add_rules(&rules::block_client_udp("inet"));
        }
    }

    /// Lifts the block of [`block_client_udp`](Self::block_client_udp).
    ///
    /// # Panics
    /// If it is not blocked.
    pub fn unblock_client_udp(&self) {
        if self.topology.is_shared() {
            let gateway = self.gateway(Side::A);
            gateway.add_rules(&rules::unblock_client_udp("bridge"));
            gateway.add_rules(&rules::unblock_client_udp("inet"));
        } else {
            self.internet.add_rules(&rules::unblock_client_udp("inet"));
        }
    }

    /// Loses all packets between a client's network and the public one from now on, in both directions and without
    /// a report to their senders.
    ///
    /// # Panics
    /// If it is cut already.
    pub fn cut(&self, side: Side) {
        self.internet.add_rules(&rules::cut(self.network_side(side)));
    }

    /// Ends a [`cut`](Self::cut).
    ///
    /// # Panics
    /// If it is not cut.
    pub fn restore(&self, side: Side) {
        self.internet.add_rules(&rules::restore(self.network_side(side)));
    }

    /// Changes the link between a client's network and the public one, for packets that are sent from now on.
    ///
    /// # Panics
    /// If the topology has no emulated link there.
    pub fn set_link(&self, side: Side, link: LinkSettings) {
        let emulated = self.access(side).emulated.as_ref();
        emulated.expect("a topology with an emulated link").set_link(link);
    }

    /// Gives a client's network another public IPv4 address, as after a reconnection to its provider: the NAT
    /// forgets its mappings. A client that has a public address gets another one itself.
    pub fn change_public_address(&mut self, side: Side) -> IpAddr {
        if !self.is_translated(side) {
            return self.change_local_address(side);
        }
        let (index, side) = (self.network_index(side), self.network_side(side));
        let plan = AddressPlan::new(self.topology, side);
        let old = plan.wan(self.public_generations[index]);
        self.public_generations[index] += 1;
        let generation = self.public_generations[index];
        let access = &self.access[index];
        let new = plan.wan(generation);
        let (v4, _) = addresses::NEXT_HOP;
        access.outermost().namespace.ip(&format!(
            "addr del {old}/32 dev wan
            addr add {new}/32 dev wan
            route replace default via {v4} dev wan onlink"
        ));
        network::load_rules(self.topology, side, access, generation);
        network::route_to(&self.internet.namespace, self.topology, side, generation);
        IpAddr::V4(new)
    }

    /// Connects the two clients with each other by a cable, beside their networks: without NAT and without delay.
    ///
    /// # Panics
    /// If there is one already, or the hosts have no IPv4.
    pub fn connect_clients(&self) {
        network::connect_clients(&self.clients);
        for host in &self.clients {
            host.namespace.wait_for_interfaces();
        }
    }

    /// Gives a client other addresses in its local network, as after a change to another access point.
    pub fn change_local_address(&mut self, side: Side) -> IpAddr {
        let index = side as usize;
        self.local_generations[index] += 1;
        let generation = self.local_generations[index];
        let client = &mut self.clients[index];
        let added = network::local_address_lines(self.topology, side, generation);
        client.namespace.ip(&format!("addr flush dev eth0 scope global\n{added}"));
        let plan = AddressPlan::new(self.topology, side);
        client.addresses = of_version(self.topology, plan.local(generation));
        client.address()
    }

    fn hosts(&self) -> impl Iterator<Item = &Host> {
        let public = [&self.internet, &self.server, &self.third];
        let gateways = self.access.iter().flat_map(|access| {
            [Some(&access.gateway), access.carrier.as_ref()].into_iter().flatten()
        });
        public.into_iter().chain(&self.clients).chain(gateways)
    }

    fn access(&self, side: Side) -> &AccessNetwork {
        &self.access[self.network_index(side)]
    }

    fn network_index(&self, side: Side) -> usize {
        side as usize % self.access.len()
    }

    /// The side whose letter the client's network has.
    fn network_side(&self, side: Side) -> Side {
        Side::BOTH[self.network_index(side)]
    }

    fn is_translated(&self, side: Side) -> bool {
        self.topology.ip_version.has_v4() && self.topology.network(side).gateway.translates()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let namespaces: Vec<u64> = self.hosts().map(|host| host.namespace.inode()).collect();
        kill_processes_in(&namespaces);
    }
}
