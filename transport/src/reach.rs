//! How far away the other side is, and how large a datagram may be looked for on the way.

use std::net::{IpAddr, SocketAddr};

use quinn::MtuDiscoveryConfig;

/// The largest UDP payload that is ever sent or taken: that of an IPv4 packet (65,535 bytes less 20 and
/// 8). Costs 4 MB of address space for the receive buffer, used as it fills.
pub(crate) const LARGEST: u16 = 65_507;

/// The largest UDP payload that is looked for on a network: one call of the kernel still takes ten of
/// them, and jumbo frames gain a factor of 1.5 (docs/performance.md). A larger bound would make every
/// search for it longer.
const LARGEST_ON_NETWORKS: u16 = 6500;

/// What every path carries (RFC 9000, 14), and where a search begins.
const SMALLEST: u16 = 1200;

/// What is known of a path before any packet has crossed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// On this machine, where the interface tells what the whole way carries.
    Loopback {
        /// The largest UDP payload.
        largest: u16,
    },
    /// Anywhere else.
    Network {
        /// The largest UDP payload that is looked for: no more than the first link carries.
        largest: u16,
    },
}

impl Reach {
    /// Of one that nothing is known of.
    pub(crate) const UNKNOWN: Self = Self::Network { largest: LARGEST_ON_NETWORKS };

    /// Asks the kernel, whose answer is at hand.
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::over(first_link(address), address.ip().to_canonical())
    }

    /// Over a first link that carries packets of so many bytes. Elsewhere than on Linux nothing tells, and a
    /// search finds it.
    fn over(mtu: Option<u32>, address: IpAddr) -> Self {
        match mtu.map(|mtu| payload(mtu, address)) {
            Some(largest) if address.is_loopback() => Self::Loopback { largest },
            Some(largest) => Self::Network { largest: largest.min(LARGEST_ON_NETWORKS) },
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
                mtu.upper_bound(largest).minimum_change((largest - SMALLEST) / 2 + 1);
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
            Self::Loopback { largest } => largest <= LARGEST / 2,
            Self::Network { .. } => true,
        }
    }
}

/// The largest IP packet that the first link of the way to an address carries, in bytes, as the kernel's routes
/// say, or less where routers have told the kernel so. No packet is sent for it.
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

/// What is left of an interface's packet behind the headers of IP and UDP.
fn payload(mtu: u32, address: IpAddr) -> u16 {
    let headers = if address.is_ipv4() { 20 + 8 } else { 40 + 8 };
    u16::try_from(mtu.saturating_sub(headers)).map_or(LARGEST, |size| size.clamp(SMALLEST, LARGEST))
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
        assert_eq!((payload(100_000, v4), payload(0, v6)), (LARGEST, SMALLEST));
    }

    #[test]
    fn only_datagrams_of_which_two_fit_one_call_leave_together() {
        let largest = |largest| Reach::Loopback { largest }.takes_batches();
        assert!(largest(1452) && largest(32_753) && !largest(32_754) && !largest(LARGEST));
        assert!(Reach::UNKNOWN.takes_batches());
    }

    fn reach(address: &str) -> Reach {
        Reach::to(SocketAddr::new(address.parse().unwrap(), 4433))
    }

    #[test]
    fn only_this_machine_is_near() {
        for far in ["192.0.2.1", "2001:db8::1", "::", "::ffff:192.0.2.1"] {
            assert!(!reach(far).is_loopback(), "{far}");
        }
        #[cfg(target_os = "linux")]
        for near in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(reach(near).is_loopback(), "{near}");
        }
    }

    #[test]
    fn nothing_is_looked_for_that_the_first_link_does_not_carry() {
        let [v4, v6] = ["192.0.2.1", "2001:db8::1"].map(|address| address.parse().unwrap());
        let largest = |mtu, address| match Reach::over(mtu, address) {
            Reach::Network { largest } => largest,
            near @ Reach::Loopback { .. } => panic!("{address}: {near:?}"),
        };
        assert_eq!((largest(Some(1500), v4), largest(Some(1500), v6)), (1472, 1452));
        // What routers said of the way may be forged, and is never believed below what every path carries.
        assert_eq!((largest(Some(552), v4), largest(Some(1280), v6)), (SMALLEST, 1232));
        assert_eq!((largest(Some(9000), v4), largest(None, v4)), (6500, 6500));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_tells_of_the_first_link_and_nothing_where_no_way_leads_there() {
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
