//! What a lab emulates: the networks of two clients, as tests describe them. Knows neither addresses nor how a
//! network is built.

use std::time::Duration;

use crate::path_emulator::LinkSettings;

/// One of the two clients, and the network that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first client.
    A,
    /// The second client.
    B,
}

impl Side {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The peer's side.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The interface at which a router or a bridge has this side's network. Not a single letter, because ip(8)
    /// takes that as a keyword.
    pub(crate) fn interface(self) -> &'static str {
        match self {
            Self::A => "net_a",
            Self::B => "net_b",
        }
    }

    /// The letter in names of hosts.
    pub(crate) fn letter(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
        }
    }
}

/// What connects a client's network to the public one. IPv6 is never translated: for it, every gateway but
/// [`Public`](Self::Public) is a stateful firewall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gateway {
    /// A router: the client has a public address, and every packet reaches it.
    Public,
    /// A stateful firewall: the client has a public address, which only responses to its packets reach.
    Firewall,
    /// A NAT with endpoint-independent mapping and filtering (RFC 4787, sections 4.1 and 5): any host reaches a
    /// port that the client has sent from.
    FullCone,
    /// A NAT with endpoint-independent mapping, which only responses pass (address- and port-dependent
    /// filtering).
    PortRestricted,
    /// A NAT with a random port for each destination, which only responses pass.
    Symmetric,
    /// Two port-restricted NATs in a row: the client's own, and its provider's. IPv4 only.
    CarrierGrade,
}

impl Gateway {
    /// Whether it replaces IPv4 addresses.
    #[must_use]
    pub fn translates(self) -> bool {
        !matches!(self, Self::Public | Self::Firewall)
    }

    /// Whether a client has the same public address and port for each destination.
    #[must_use]
    pub fn keeps_mapping(self) -> bool {
        self != Self::Symmetric
    }
}

/// What a gateway does with TCP and UDP packets to itself that arrive from the public network. Matters because a
/// NAT on Linux that accepts a peer's early packet gives the client another port for that peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WanInput {
    /// They are dropped, as routers do.
    Drop,
    /// They are accepted, and answered with "port unreachable", because no program listens there.
    Accept,
    /// They are rejected before they are tracked.
    Reject,
}

/// The protocols of all hosts of a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4 only; IPv6 is disabled.
    V4,
    /// IPv6 only; the only IPv4 address is the loopback's.
    V6,
    /// Both.
    Both,
}

impl IpVersion {
    pub(crate) fn has_v4(self) -> bool {
        self != Self::V6
    }

    pub(crate) fn has_v6(self) -> bool {
        self != Self::V4
    }
}

/// A client's network and its connection to the public one.
#[derive(Debug, Clone, Copy)]
pub struct ClientNetwork {
    pub(crate) gateway: Gateway,
    pub(crate) wan_input: WanInput,
    pub(crate) link: Option<LinkSettings>,
    pub(crate) mtu: u32,
    pub(crate) useless_interfaces: u8,
}

impl ClientNetwork {
    /// A network behind a gateway that drops packets to itself, without delay, with an MTU of 1500 bytes.
    #[must_use]
    pub fn behind(gateway: Gateway) -> Self {
        Self { gateway, wan_input: WanInput::Drop, link: None, mtu: 1500, useless_interfaces: 0 }
    }

    /// What the gateway does with packets to itself.
    #[must_use]
    pub fn with_wan_input(self, wan_input: WanInput) -> Self {
        Self { wan_input, ..self }
    }

    /// Delays each packet between the gateway and the public network, in both directions, in user space. Can be
    /// changed while the lab runs.
    #[must_use]
    pub fn with_delay(self, one_way: Duration) -> Self {
        self.with_link(LinkSettings { delay: one_way, ..LinkSettings::default() })
    }

    /// Emulates a link between the gateway and the public network, the same in both directions. Can be changed
    /// while the lab runs.
    #[must_use]
    pub fn with_link(self, link: LinkSettings) -> Self {
        Self { link: Some(link), ..self }
    }

    /// The MTU in bytes between the gateway and the public network; at least 1280.
    #[must_use]
    pub fn with_mtu(self, mtu: u32) -> Self {
        Self { mtu, ..self }
    }

    /// Gives each client more interfaces with private addresses that the other hosts have no route to.
    #[must_use]
    pub fn with_useless_interfaces(self, count: u8) -> Self {
        Self { useless_interfaces: count, ..self }
    }
}

/// The networks of a lab.
#[derive(Debug, Clone, Copy)]
pub struct Topology {
    pub(crate) layout: Layout,
    pub(crate) ip_version: IpVersion,
    pub(crate) blocks_client_udp: bool,
}

/// Which client is in which network.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Layout {
    Separate { a: ClientNetwork, b: ClientNetwork },
    Shared { network: ClientNetwork, hairpin: bool },
}

impl Topology {
    /// Each client in a network of its own.
    #[must_use]
    pub fn separate(a: ClientNetwork, b: ClientNetwork) -> Self {
        Self::with_layout(Layout::Separate { a, b })
    }

    /// Both clients in one local network behind one NAT. With `hairpin`, they also reach each other at the NAT's
    /// public address; such packets are not filtered, and have the sender's public address and port (RFC 4787,
    /// REQ-9).
    ///
    /// # Panics
    /// If there is a hairpin at a gateway other than [`Gateway::FullCone`] and [`Gateway::PortRestricted`].
    #[must_use]
    pub fn shared(network: ClientNetwork, hairpin: bool) -> Self {
        let has_hairpin = matches!(network.gateway, Gateway::FullCone | Gateway::PortRestricted);
        assert!(!hairpin || has_hairpin, "{:?} has no hairpin", network.gateway);
        Self::with_layout(Layout::Shared { network, hairpin })
    }

    fn with_layout(layout: Layout) -> Self {
        Self { layout, ip_version: IpVersion::V4, blocks_client_udp: false }
    }

    /// The protocols of all hosts; IPv4 unless set.
    ///
    /// # Panics
    /// If a carrier-grade NAT would have IPv6.
    #[must_use]
    pub fn with_ip_version(self, ip_version: IpVersion) -> Self {
        let is_carrier_grade =
            Side::BOTH.iter().any(|side| self.network(*side).gateway == Gateway::CarrierGrade);
        assert!(!ip_version.has_v6() || !is_carrier_grade, "a carrier-grade NAT has IPv4 only");
        Self { ip_version, ..self }
    }

    /// Drops all UDP between the clients from the start; both reach the server.
    #[must_use]
    pub fn with_client_udp_blocked(self) -> Self {
        Self { blocks_client_udp: true, ..self }
    }

    pub(crate) fn is_shared(self) -> bool {
        matches!(self.layout, Layout::Shared { .. })
    }

    pub(crate) fn network(self, side: Side) -> ClientNetwork {
        match (self.layout, side) {
            (Layout::Separate { a: network, .. }, Side::A)
            | (Layout::Separate { b: network, .. }, Side::B)
            | (Layout::Shared { network, .. }, _) => network,
        }
    }

    pub(crate) fn hairpin(self) -> bool {
        matches!(self.layout, Layout::Shared { hairpin: true, .. })
    }
}
