//! The largest datagram that is searched for on a path, and whether the path stays on this machine.

use std::net::{IpAddr, SocketAddr};

use quinn::MtuDiscoveryConfig;

/// The largest UDP payload that is ever sent or received: that of an IPv4 packet (65,535 bytes less 20 and
/// 8). Costs 4 MB of address space for the receive buffer, used as it fills.
pub(crate) const MAX_PAYLOAD: u16 = 65_507;

/// The largest UDP payload that is searched for on a network: one call of the kernel still takes ten of them, and
/// jumbo frames gain a factor of 1.5 (docs/performance.md). A larger bound would make every search longer.
const MAX_NETWORK_PAYLOAD: u16 = 6500;

/// The UDP payload that every path carries (RFC 9000, 14), and that a search begins with.
const MIN_PAYLOAD: u16 = 1200;

/// The MTU of a path, as far as it is known before any packet is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathMtu {
    /// On this machine, where the interface's MTU is that of the whole path.
    Loopback {
        /// The largest UDP payload.
        largest: u16,
    },
    /// Anywhere else.
    Network {
        /// The largest UDP payload that is searched for: no more than the first link carries.
        largest: u16,
    },
}

impl PathMtu {
    /// Of a path that nothing is known of.
    pub(crate) const UNKNOWN: Self = Self::Network { largest: MAX_NETWORK_PAYLOAD };

    /// Asks the kernel, which answers without a packet.
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::over(first_link(address), address.ip().to_canonical())
    }

    /// Over a first link with this MTU in bytes. `None` where the system does not tell, as on all but Linux.
    fn over(mtu: Option<u32>, address: IpAddr) -> Self {
        match mtu.map(|mtu| payload(mtu, address)) {
            Some(largest) if address.is_loopback() => Self::Loopback { largest },
            Some(largest) => Self::Network { largest: largest.min(MAX_NETWORK_PAYLOAD) },
            None => Self::UNKNOWN,
        }
    }

    pub(crate) fn is_loopback(self) -> bool {
        matches!(self, Self::Loopback { .. })
    }

    /// On a network a search by halves; on loopback one probe, whether what the interface says is true of
    /// the other side too. Each probe costs both sides 20 ns a byte of padding, and one that is larger than the
    /// path carries a wait for its loss.
    pub(crate) fn mtu_discovery(self) -> MtuDiscoveryConfig {
        let mut mtu = MtuDiscoveryConfig::default();
        match self {
            Self::Loopback { largest } => {
                // A first step that is too small sends the search to its end at once.
                mtu.upper_bound(largest).minimum_change((largest - MIN_PAYLOAD) / 2 + 1);
            }
            Self::Network { largest } => {
                mtu.upper_bound(largest);
            }
        }
        mtu
    }

    /// Whether the kernel takes two datagrams of the largest size in one call, to cut them apart. Where it
    /// does not, each leaves as soon as it is encrypted, and the other side begins with it.
    pub(crate) fn takes_batches(self) -> bool {
        match self {
            Self::Loopback { largest } => largest <= MAX_PAYLOAD / 2,
            Self::Network { .. } => true,
        }
    }
}

/// The MTU in bytes of the first link on the path to an address, from the kernel's routes, or less where routers
/// have reported less. No packet is sent for it.
#[cfg(target_os = "linux")]
fn first_link(address: SocketAddr) -> Option<u32> {
    use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

    use rustix::net::sockopt::{ip_mtu, ipv6_mtu};

    let connected = |from: IpAddr, to: SocketAddr| {
        let socket = UdpSocket::bind((from, 0)).ok()?;
        socket.connect(to).ok()?;
        Some(socket)
    };
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => first_link((v4, v6.port()).into()),
            None => ipv6_mtu(connected(Ipv6Addr::UNSPECIFIED.into(), address)?).ok(),
        },
        SocketAddr::V4(_) => ip_mtu(connected(Ipv4Addr::UNSPECIFIED.into(), address)?).ok(),
    }
}

#[cfg(not(target_os = "linux"))]
fn first_link(_: SocketAddr) -> Option<u32> {
    None
}

/// The UDP payload of an interface's largest packet: what the headers of IP and UDP leave.
fn payload(mtu: u32, address: IpAddr) -> u16 {
    let headers = if address.is_ipv4() { 20 + 8 } else { 40 + 8 };
    u16::try_from(mtu.saturating_sub(headers))
        .map_or(MAX_PAYLOAD, |size| size.clamp(MIN_PAYLOAD, MAX_PAYLOAD))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_loopback_interface_carries_its_packets_less_the_headers() {
        let [v4, v6] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        assert_eq!((payload(65_536, v4), payload(65_536, v6)), (65_507, 65_488));
        assert_eq!((payload(1480, v4), payload(1480, v6)), (1452, 1432));
        assert_eq!((payload(100_000, v4), payload(0, v6)), (MAX_PAYLOAD, MIN_PAYLOAD));
    }

    #[test]
    fn only_datagrams_of_which_two_fit_one_call_leave_together() {
        let largest = |largest| PathMtu::Loopback { largest }.takes_batches();
        assert!(largest(1452) && largest(32_753) && !largest(32_754) && !largest(MAX_PAYLOAD));
        assert!(PathMtu::UNKNOWN.takes_batches());
    }

    fn path(address: &str) -> PathMtu {
        PathMtu::to(SocketAddr::new(address.parse().unwrap(), 4433))
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for far in ["192.0.2.1", "2001:db8::1", "::", "::ffff:192.0.2.1"] {
            assert!(!path(far).is_loopback(), "{far}");
        }
        #[cfg(target_os = "linux")]
        for near in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(path(near).is_loopback(), "{near}");
        }
    }

    #[test]
    fn no_payload_is_searched_for_that_the_first_link_does_not_carry() {
        let [v4, v6] = ["192.0.2.1", "2001:db8::1"].map(|address| address.parse().unwrap());
        let largest = |mtu, address| match PathMtu::over(mtu, address) {
            PathMtu::Network { largest } => largest,
            near @ PathMtu::Loopback { .. } => panic!("{address}: {near:?}"),
        };
        assert_eq!((largest(Some(1500), v4), largest(Some(1500), v6)), (1472, 1452));
        // What routers report may be forged, and is never believed below what every path carries.
        assert_eq!((largest(Some(552), v4), largest(Some(1280), v6)), (MIN_PAYLOAD, 1232));
        assert_eq!((largest(Some(9000), v4), largest(None, v4)), (6500, 6500));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_tells_the_mtu_of_the_first_link_where_there_is_a_route() {
        let link = |address: &str| first_link(SocketAddr::new(address.parse().unwrap(), 4433));
        let told = std::fs::read_to_string("/sys/class/net/lo/mtu").unwrap();
        let mtu: u32 = told.trim().parse().unwrap();
        assert_eq!(link("::1"), Some(mtu));
        // An IPv4 packet has 65,535 bytes at most.
        assert_eq!(link("127.0.0.1"), Some(mtu.min(65_535)));
        assert_eq!(link("::ffff:127.0.0.1"), link("127.0.0.1"));
        // Without a scope no link is meant.
        assert_eq!(link("fe80::1"), None);
    }
}
