//! How far away the other side is, and how large a datagram may be looked for on the way.

use std::fs;
use std::net::IpAddr;

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
    /// On this machine, where the interface tells what it carries.
    Loopback {
        /// The largest UDP payload.
        largest: u16,
    },
    /// Anywhere else.
    Network,
}

impl Reach {
    pub(crate) fn to(address: IpAddr) -> Self {
        let address = address.to_canonical();
        // Elsewhere than on Linux nothing tells, and a search finds it.
        let told = fs::read_to_string("/sys/class/net/lo/mtu");
        let mtu = told.ok().and_then(|told| told.trim().parse::<u32>().ok());
        match mtu {
            Some(mtu) if address.is_loopback() => Self::Loopback { largest: payload(mtu, address) },
            _ => Self::Network,
        }
    }

    /// On a network a search by halves; on loopback one probe, whether what the interface says is true of
    /// the other side too. Each probe costs both sides 20 ns a byte of padding.
    pub(crate) fn mtu_discovery(self) -> MtuDiscoveryConfig {
        let mut mtu = MtuDiscoveryConfig::default();
        match self {
            Self::Loopback { largest } => {
                // A first step that is too small sends the search to its end at once.
                mtu.upper_bound(largest).minimum_change((largest - SMALLEST) / 2 + 1);
            }
            Self::Network => {
                mtu.upper_bound(LARGEST_ON_NETWORKS);
            }
        }
        mtu
    }

    /// Whether the kernel takes two datagrams of the largest size in one call, to cut them apart. Where it
    /// does not, each leaves as soon as it is encrypted, and the other side begins with it.
    pub(crate) fn takes_batches(self) -> bool {
        match self {
            Self::Loopback { largest } => largest <= LARGEST / 2,
            Self::Network => true,
        }
    }
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
        assert!(Reach::Network.takes_batches());
    }

    #[test]
    fn only_this_machine_is_near() {
        for far in ["192.0.2.1", "2001:db8::1", "::", "::ffff:192.0.2.1"] {
            assert_eq!(Reach::to(far.parse().unwrap()), Reach::Network);
        }
        #[cfg(target_os = "linux")]
        for near in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(matches!(Reach::to(near.parse().unwrap()), Reach::Loopback { .. }));
        }
    }
}
