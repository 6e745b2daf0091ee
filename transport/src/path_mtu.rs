//! The largest datagram that MTU discovery tries on a path, and whether the path is loopback.

use std::net::{IpAddr, SocketAddr};

use quinn::MtuDiscoveryConfig;

/// The largest UDP payload that is sent or received: that of an IPv4 packet (65,535 bytes less 20
/// and 8). Costs 4 MB of address space for the receive buffer, of which the used part takes memory.
pub(crate) const MAX_PAYLOAD: u16 = 65_507;

/// The largest UDP payload that MTU discovery tries on a network: one system call still sends ten
/// of them, and jumbo frames gain a factor of 1.5 (docs/performance.md). A larger bound would make
/// every search longer.
const MAX_NETWORK_PAYLOAD: u16 = 6500;

/// The UDP payload that every path must carry (RFC 9000, 14), with which MTU discovery starts.
const MIN_PAYLOAD: u16 = 1200;

/// The largest UDP payload that MTU discovery tries over a relay, whose stream takes datagrams of any length: fewer
/// and longer packets cost less.
pub(crate) const MAX_RELAYED_PAYLOAD: u16 = 4 * 1024;

/// What is known of a path's MTU before the first packet is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathMtu {
    /// A path on this machine: the interface's MTU is that of the whole path.
    Loopback {
        /// The largest UDP payload.
        max_payload: u16,
    },
    /// Any other path.
    Network {
        /// The largest UDP payload that MTU discovery tries: at most what the first link carries.
        max_payload: u16,
    },
    /// Inside a stream to the server.
    Relayed {
        /// The largest UDP payload that MTU discovery tries.
        max_payload: u16,
    },
}

impl PathMtu {
    /// A path inside a stream to the server.
    pub(crate) const RELAYED: Self = Self::Relayed { max_payload: MAX_RELAYED_PAYLOAD };

    /// A path of which nothing is known.
    pub(crate) const UNKNOWN: Self = Self::Network { max_payload: MAX_NETWORK_PAYLOAD };

    /// Asks the kernel, which sends no packet for it.
    pub(crate) fn query(address: SocketAddr) -> Self {
        Self::from_link_mtu(first_link_mtu(address), address.ip().to_canonical())
    }

    /// From the MTU of the path's first link in bytes, which is known only on Linux.
    fn from_link_mtu(mtu: Option<u32>, address: IpAddr) -> Self {
        match mtu.map(|mtu| udp_payload(mtu, address)) {
            Some(max_payload) if address.is_loopback() => Self::Loopback { max_payload },
            Some(max_payload) => {
                Self::Network { max_payload: max_payload.min(MAX_NETWORK_PAYLOAD) }
            }
            None => Self::UNKNOWN,
        }
    }

    pub(crate) fn is_loopback(self) -> bool {
        matches!(self, Self::Loopback { .. })
    }

    /// Whether packets can be lost although no queue is full. Not on loopback, nor in a stream, whose
    /// connection sends lost packets again and controls congestion.
    pub(crate) fn can_lose_packets(self) -> bool {
        matches!(self, Self::Network { .. })
    }

    /// The settings of MTU discovery: a binary search on a network; on loopback a single probe,
    /// which tests whether the other side accepts the interface's MTU too. Each probe costs both
    /// sides 20 ns a byte of padding, and a probe larger than the path carries costs the wait until
    /// it counts as lost.
    pub(crate) fn mtu_discovery(self) -> MtuDiscoveryConfig {
        let mut mtu = MtuDiscoveryConfig::default();
        match self {
            Self::Loopback { max_payload } => {
                // The first step of a binary search is smaller than this minimum, so quinn tries
                // the upper bound at once.
                mtu.upper_bound(max_payload).minimum_change((max_payload - MIN_PAYLOAD) / 2 + 1);
            }
            Self::Network { max_payload } | Self::Relayed { max_payload } => {
                mtu.upper_bound(max_payload);
            }
        }
        mtu
    }

    /// Whether one system call can send two datagrams of the largest size, which the kernel then
    /// splits. If not, each datagram is sent as soon as it is encrypted, so that the other side can
    /// start with it.
    pub(crate) fn accepts_batches(self) -> bool {
        match self {
            Self::Loopback { max_payload } => max_payload <= MAX_PAYLOAD / 2,
            Self::Network { .. } | Self::Relayed { .. } => true,
        }
    }
}

/// The MTU in bytes of the first link on the path to an address, as the kernel's routes have it, or
/// a smaller one that routers have reported. No packet is sent for it.
#[cfg(target_os = "linux")]
fn first_link_mtu(address: SocketAddr) -> Option<u32> {
    use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

    use rustix::net::sockopt::{ip_mtu, ipv6_mtu};

    let connected = |from: IpAddr, to: SocketAddr| {
        let socket = UdpSocket::bind((from, 0)).ok()?;
        socket.connect(to).ok()?;
        Some(socket)
    };
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => first_link_mtu((v4, v6.port()).into()),
            None => ipv6_mtu(connected(Ipv6Addr::UNSPECIFIED.into(), address)?).ok(),
        },
        SocketAddr::V4(_) => ip_mtu(connected(Ipv4Addr::UNSPECIFIED.into(), address)?).ok(),
    }
}

#[cfg(not(target_os = "linux"))]
fn first_link_mtu(_: SocketAddr) -> Option<u32> {
    None
}

/// The UDP payload of an interface's largest packet: its MTU without the headers of IP and UDP.
fn udp_payload(mtu: u32, address: IpAddr) -> u16 {
    let headers = if address.is_ipv4() { 20 + 8 } else { 40 + 8 };
    u16::try_from(mtu.saturating_sub(headers))
        .map_or(MAX_PAYLOAD, |size| size.clamp(MIN_PAYLOAD, MAX_PAYLOAD))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn the_payload_is_the_mtu_without_the_headers() {
        let [v4, v6] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        assert_eq!((udp_payload(65_536, v4), udp_payload(65_536, v6)), (65_507, 65_488));
        assert_eq!((udp_payload(1480, v4), udp_payload(1480, v6)), (1452, 1432));
        assert_eq!((udp_payload(100_000, v4), udp_payload(0, v6)), (MAX_PAYLOAD, MIN_PAYLOAD));
    }

    #[test]
    fn datagrams_are_sent_in_batches_only_if_two_fit_one_system_call() {
        let accepts_batches = |max_payload| PathMtu::Loopback { max_payload }.accepts_batches();
        assert!(accepts_batches(1452) && accepts_batches(32_753));
        assert!(!accepts_batches(32_754) && !accepts_batches(MAX_PAYLOAD));
        assert!(PathMtu::UNKNOWN.accepts_batches());
    }

    fn path(address: &str) -> PathMtu {
        PathMtu::query(SocketAddr::new(address.parse().unwrap(), 4433))
    }

    #[test]
    fn only_addresses_of_this_machine_are_loopback() {
        for remote in ["192.0.2.1", "2001:db8::1", "::", "::ffff:192.0.2.1"] {
            assert!(!path(remote).is_loopback(), "{remote}");
        }
        #[cfg(target_os = "linux")]
        for local in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(path(local).is_loopback(), "{local}");
        }
    }

    #[test]
    fn mtu_discovery_tries_no_payload_that_the_first_link_does_not_carry() {
        let [v4, v6] = ["192.0.2.1", "2001:db8::1"].map(|address| address.parse().unwrap());
        let max_payload = |mtu, address| match PathMtu::from_link_mtu(mtu, address) {
            PathMtu::Network { max_payload } => max_payload,
            other @ (PathMtu::Loopback { .. } | PathMtu::Relayed { .. }) => {
                panic!("{address}: {other:?}")
            }
        };
        assert_eq!((max_payload(Some(1500), v4), max_payload(Some(1500), v6)), (1472, 1452));
        // Routers' reports may be forged, so smaller ones than every path must carry are not used.
        assert_eq!((max_payload(Some(552), v4), max_payload(Some(1280), v6)), (MIN_PAYLOAD, 1232));
        assert_eq!((max_payload(Some(9000), v4), max_payload(None, v4)), (6500, 6500));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_tells_the_mtu_of_the_first_link_if_there_is_a_route() {
        let mtu_to =
            |address: &str| first_link_mtu(SocketAddr::new(address.parse().unwrap(), 4433));
        let text = std::fs::read_to_string("/sys/class/net/lo/mtu").unwrap();
        let mtu: u32 = text.trim().parse().unwrap();
        assert_eq!(mtu_to("::1"), Some(mtu));
        // An IPv4 packet has 65,535 bytes at most.
        assert_eq!(mtu_to("127.0.0.1"), Some(mtu.min(65_535)));
        assert_eq!(mtu_to("::ffff:127.0.0.1"), mtu_to("127.0.0.1"));
        // A link-local address without a scope id has no route.
        assert_eq!(mtu_to("fe80::1"), None);
    }
}
