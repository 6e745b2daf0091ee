//! The address plan of a lab. Every lab has the same addresses, because each has network namespaces of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::topology::{Side, Topology};

/// The server's addresses.
pub(crate) const SERVER: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(203, 0, 113, 1), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
/// The addresses of the third host in the public network.
pub(crate) const THIRD_HOST: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(203, 0, 113, 2), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2));
/// The next hop of every host and gateway that is connected to the public network.
pub(crate) const NEXT_HOP: (Ipv4Addr, &str) = (Ipv4Addr::new(192, 0, 2, 1), "fe80::1");
/// The link-local address of a gateway towards the public network.
pub(crate) const GATEWAY_LINK_LOCAL: &str = "fe80::2";
/// A provider's side of the network between it and a client's gateway (RFC 6598).
pub(crate) const CARRIER_LAN: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 1);
/// The addresses of the clients at the cable between them.
pub(crate) const CABLE: (Ipv4Addr, Ipv4Addr) =
    (Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 2));
/// The address of a client's gateway in its provider's network.
pub(crate) const CARRIER_CLIENT: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 2);

/// The addresses of one client and its gateway. Each client has two addresses, and changes between them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddressPlan {
    /// The number of the network: 1 or 2.
    network: u8,
    /// Which of the clients in that network: 0 or 1.
    client: u8,
    /// Whether the client's IPv4 address is private.
    is_translated: bool,
}

impl AddressPlan {
    pub(crate) fn new(topology: Topology, side: Side) -> Self {
        let is_second = side == Side::B;
        Self {
            network: if is_second && !topology.is_shared() { 2 } else { 1 },
            client: u8::from(is_second && topology.is_shared()),
            is_translated: topology.network(side).gateway.translates(),
        }
    }

    /// The client's own addresses; `generation` counts its changes.
    pub(crate) fn local(self, generation: u8) -> (Ipv4Addr, Ipv6Addr) {
        let host = 2 + 2 * self.client + generation % 2;
        let v4 = if self.is_translated {
            Ipv4Addr::new(10, self.network, 0, host)
        } else {
            self.public_block(host)
        };
        (v4, self.v6(u16::from(host)))
    }

    /// The gateway's addresses in the client's network.
    pub(crate) fn lan(self) -> (Ipv4Addr, Ipv6Addr) {
        let v4 = if self.is_translated {
            Ipv4Addr::new(10, self.network, 0, 1)
        } else {
            self.public_block(1)
        };
        (v4, self.v6(1))
    }

    /// The lengths of the prefixes of the client's network.
    pub(crate) fn lan_prefix(self) -> (u8, u8) {
        (if self.is_translated { 24 } else { 29 }, 64)
    }

    /// The address of the gateway that is connected to the public network: the client's public address, if the
    /// gateway translates.
    pub(crate) fn wan(self, generation: u8) -> Ipv4Addr {
        self.public_block(if self.is_translated { 2 + generation % 2 } else { 6 })
    }

    /// The addresses that the public network routes to the gateway.
    pub(crate) fn public_networks(self) -> (String, String) {
        (format!("{}/29", self.public_block(0)), format!("{}/64", self.v6(0)))
    }

    /// An address of a useless interface.
    pub(crate) fn useless(self, interface: u8) -> (Ipv4Addr, Ipv6Addr) {
        let host = 1 + self.client;
        let network = u16::from(self.network) << 8 | u16::from(interface);
        (
            Ipv4Addr::new(172, 16 + self.network, interface, host),
            Ipv6Addr::new(0xfd00, network, 0, 0, 0, 0, 0, u16::from(host)),
        )
    }

    fn public_block(self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(203, 0, 113, 8 * self.network + host)
    }

    fn v6(self, host: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, u16::from(self.network), 0, 0, 0, 0, host)
    }
}

/// The addresses that hosts of the lab have of a pair, IPv4 first.
pub(crate) fn of_version(topology: Topology, pair: (Ipv4Addr, Ipv6Addr)) -> Vec<IpAddr> {
    let (v4, v6) = (topology.ip_version.has_v4(), topology.ip_version.has_v6());
    let v4 = v4.then_some(IpAddr::V4(pair.0));
    v4.into_iter().chain(v6.then_some(IpAddr::V6(pair.1))).collect()
}
