//! The addresses at which two clients try to reach each other: which ones, and in which order. Sends nothing.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use if_addrs::{IfAddr, Interface};
use quiver_protocol::limits;

/// The smallest port that is dialled. Services below it, such as DNS and NTP, answer unsolicited packets.
const MIN_PORT: u16 = 1024;

/// Beginnings of the names of interfaces that lead to containers and virtual machines of this machine.
const VIRTUAL_INTERFACES: [&str; 9] =
    ["docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "lxc", "lxd", "cni"];

/// The bits of an IPv6 address that name a network. One machine may have all addresses of one (RFC 4291, 2.5.4).
const MACHINE_PREFIX: u32 = 64;

/// The bits of an IPv6 address that name a site, whose networks may all lead to one machine (RFC 6177).
const SITE_PREFIX: u32 = 48;

/// Networks of one site whose addresses are dialled.
const MAX_OF_SITE: usize = 4;

/// A network that this machine is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LocalNetwork {
    address: IpAddr,
    prefix_length: u8,
    is_virtual: bool,
}

/// What makes an address more likely to work, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// On a network that this machine is on too.
    SameNetwork,
    /// A global IPv6 address: there is usually no address translation.
    Global6,
    /// The address that the server sees.
    Observed,
    Other,
    /// On a network of containers or virtual machines, or this machine itself.
    Virtual,
}

impl LocalNetwork {
    /// The networks of this machine, without loopback ones and those that are local to a link.
    pub(super) fn all(interfaces: Vec<Interface>) -> Vec<Self> {
        let link = |interface: Interface| {
            let is_virtual =
                VIRTUAL_INTERFACES.iter().any(|start| interface.name.starts_with(start));
            let prefix_length = match &interface.addr {
                IfAddr::V4(v4) => v4.prefixlen,
                IfAddr::V6(v6) => v6.prefixlen,
            };
            let address = interface.ip();
            let is_usable =
                is_unicast(address) && !address.is_loopback() && !is_link_local(address);
            is_usable.then_some(Self { address, prefix_length, is_virtual })
        };
        interfaces.into_iter().filter_map(link).collect()
    }

    fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.prefix_length.min(32));
                let prefix = |address: Ipv4Addr| address.to_bits().checked_shr(shift).unwrap_or(0);
                prefix(own) == prefix(other)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.prefix_length.min(128));
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }

    /// Whether an address is the broadcast address of this network.
    fn is_broadcast(&self, other: IpAddr) -> bool {
        let (IpAddr::V4(_), IpAddr::V4(v4)) = (self.address, other) else { return false };
        let host_bits = 32 - u32::from(self.prefix_length.min(32));
        let mask = 1_u32.checked_shl(host_bits).map_or(u32::MAX, |bit| bit - 1);
        host_bits >= 2 && self.contains(other) && v4.to_bits() & mask == mask
    }
}

/// The addresses at which this machine may be reached on a port, the best first, at most
/// [`limits::ADDRESSES`].
pub(super) fn own_addresses(links: &[LocalNetwork], port: u16) -> Vec<SocketAddr> {
    let mut links = links.to_vec();
    links.sort_by_key(|link| (link.is_virtual, link.address.is_ipv4()));
    let addresses = links.iter().map(|link| SocketAddr::new(link.address, port));
    addresses.take(limits::ADDRESSES).collect()
}

/// The addresses of another client to dial in a round, the best first. `observed` is the one that the server sees;
/// `listed` are those that the other client says. Of the addresses that may be those of one machine, each round has
/// one: another client cannot multiply what one machine gets.
pub(super) fn dial_order(
    links: &[LocalNetwork],
    observed: Option<SocketAddr>,
    listed: &[SocketAddr],
    round: u32,
) -> Vec<SocketAddr> {
    let observed = observed.map(canonical);
    // Loopback addresses are the other client's only if the server is on this machine too.
    let may_be_loopback = observed.is_some_and(|address| address.ip().is_loopback());
    let mut ranked: Vec<(Rank, SocketAddr)> = Vec::new();
    let listed = listed.iter().take(limits::ADDRESSES).map(|address| canonical(*address));
    for address in observed.into_iter().chain(listed) {
        let ip = address.ip();
        let is_dialled = is_unicast(ip)
            && !is_link_local(ip)
            && address.port() >= MIN_PORT
            && (may_be_loopback || !ip.is_loopback())
            && !links.iter().any(|link| link.is_broadcast(ip));
        // One port of each address.
        if is_dialled && !ranked.iter().any(|(_, known)| known.ip() == ip) {
            ranked.push((rank(links, observed, address), address));
        }
    }
    let mut ranked = one_of_each_network(&ranked, round);
    // Stable: within a rank the order of the other client counts.
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, address)| address).collect()
}

/// Chooses one address of each IPv6 network of a machine, in each round another one, of at most [`MAX_OF_SITE`] networks
/// of one site.
fn one_of_each_network(ranked: &[(Rank, SocketAddr)], round: u32) -> Vec<(Rank, SocketAddr)> {
    let mut networks: Vec<(u128, Vec<(Rank, SocketAddr)>)> = Vec::new();
    for &(rank, address) in ranked {
        let network = prefix(address.ip(), MACHINE_PREFIX);
        match networks.iter_mut().find(|(known, _)| *known == network) {
            Some((_, addresses)) => addresses.push((rank, address)),
            None => networks.push((network, vec![(rank, address)])),
        }
    }
    let mut sites: HashMap<u128, usize> = HashMap::new();
    networks.retain(|(_, addresses)| {
        let count = sites.entry(prefix(addresses[0].1.ip(), SITE_PREFIX)).or_default();
        *count += 1;
        *count <= MAX_OF_SITE
    });
    let of_round = |addresses: &Vec<_>| addresses[round as usize % addresses.len()];
    networks.iter().map(|(_, addresses)| of_round(addresses)).collect()
}

/// The first bits of an IPv6 address. An IPv4 address counts as a whole.
fn prefix(ip: IpAddr, length: u32) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits() >> (128 - length) << (128 - length),
    }
}

fn rank(links: &[LocalNetwork], observed: Option<SocketAddr>, address: SocketAddr) -> Rank {
    let ip = address.ip();
    match links.iter().find(|link| link.contains(ip)) {
        _ if ip.is_loopback() => Rank::Virtual,
        Some(link) if link.is_virtual => Rank::Virtual,
        Some(_) => Rank::SameNetwork,
        None if is_global6(ip) => Rank::Global6,
        None if observed == Some(address) => Rank::Observed,
        None => Rank::Other,
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn is_unicast(ip: IpAddr) -> bool {
    let is_broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
}

/// Whether an address is valid on one link only. It would need the number of the interface.
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn is_global6(ip: IpAddr) -> bool {
    // 2000::/3 (RFC 4291, 2.4).
    matches!(ip, IpAddr::V6(v6) if v6.segments()[0] & 0xe000 == 0x2000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(text: &str, is_virtual: bool) -> LocalNetwork {
        let (address, prefix_length) = text.split_once('/').unwrap();
        let (address, prefix_length) = (address.parse().unwrap(), prefix_length.parse().unwrap());
        LocalNetwork { address, prefix_length, is_virtual }
    }

    fn addresses<const COUNT: usize>(texts: [&str; COUNT]) -> Vec<SocketAddr> {
        texts.map(|text| text.parse().unwrap()).into()
    }

    #[test]
    fn the_same_link_comes_first_and_containers_last() {
        let links = [link("192.168.1.2/24", false), link("172.17.0.1/16", true)];
        let observed = Some("198.51.100.7:50000".parse().unwrap());
        let listed = addresses([
            "172.17.0.2:50000",
            "10.0.0.3:50000",
            "[2001:db8::7]:50000",
            "192.168.1.3:50000",
        ]);
        let expected = addresses([
            "192.168.1.3:50000",
            "[2001:db8::7]:50000",
            "198.51.100.7:50000",
            "10.0.0.3:50000",
            "172.17.0.2:50000",
        ]);
        assert_eq!(dial_order(&links, observed, &listed, 0), expected);
    }

    #[test]
    fn addresses_of_groups_low_ports_and_this_machine_are_not_dialled() {
        let links = [link("192.168.1.2/24", false)];
        let observed = Some("198.51.100.7:50000".parse().unwrap());
        let listed = addresses([
            "224.0.0.1:50000",
            "255.255.255.255:50000",
            "192.168.1.255:50000",
            "0.0.0.0:50000",
            "127.0.0.1:50000",
            "[::1]:50000",
            "[ff02::1]:50000",
            "[fe80::1]:50000",
            "169.254.1.1:50000",
            "192.168.1.3:53",
            "[::ffff:127.0.0.1]:50000",
            "[::ffff:198.51.100.7]:50000",
        ]);
        assert_eq!(dial_order(&links, observed, &listed, 0), addresses(["198.51.100.7:50000"]));
        assert_eq!(dial_order(&links, None, &listed[..10], 0), []);
    }

    #[test]
    fn loopback_is_dialled_if_the_server_sees_the_other_client_there() {
        let observed = Some("127.0.0.1:50000".parse().unwrap());
        let listed = addresses(["[2001:db8::7]:50000", "[::1]:50001"]);
        let expected = addresses(["[2001:db8::7]:50000", "127.0.0.1:50000", "[::1]:50001"]);
        assert_eq!(dial_order(&[], observed, &listed, 0), expected);
    }

    #[test]
    fn one_port_of_a_machine_is_dialled() {
        let observed = Some("198.51.100.7:50000".parse().unwrap());
        let listed = addresses([
            "198.51.100.7:50001",
            "203.0.113.2:2000",
            "203.0.113.2:2001",
            "[::ffff:203.0.113.2]:2002",
        ]);
        let expected = addresses(["198.51.100.7:50000", "203.0.113.2:2000"]);
        assert_eq!(dial_order(&[], observed, &listed, 0), expected);
    }

    #[test]
    fn one_address_of_an_ipv6_network_is_dialled_in_each_round() {
        let observed = Some("[2001:db8:0:1::7]:50000".parse().unwrap());
        let listed = addresses([
            "[2001:db8:0:1::8]:50000",
            "[2001:db8:0:2::1]:50000",
            "[2001:db8:0:1::9]:50000",
            "[2001:db8:0:1::8]:50001",
        ]);
        let second = "[2001:db8:0:2::1]:50000";
        for (round, first) in [
            (0, "[2001:db8:0:1::7]:50000"),
            (1, "[2001:db8:0:1::8]:50000"),
            (2, "[2001:db8:0:1::9]:50000"),
            (3, "[2001:db8:0:1::7]:50000"),
        ] {
            let order = dial_order(&[], observed, &listed, round);
            assert_eq!(order, addresses([first, second]), "{round}");
        }
    }

    #[test]
    fn one_site_gets_the_dials_of_four_addresses() {
        let of_site = |site: u16| {
            (0..16_u16).map(move |network| {
                SocketAddr::from(([0x2001, 0xdb8, site, network, 0, 0, 0, 1], 5000))
            })
        };
        let listed: Vec<SocketAddr> = of_site(1).chain(of_site(2)).collect();
        assert_eq!(listed.len(), limits::ADDRESSES);
        for round in 0..3 {
            let order = dial_order(&[], None, &listed, round);
            let expected: Vec<_> = of_site(1).take(4).chain(of_site(2).take(4)).collect();
            assert_eq!(order, expected);
        }
    }

    #[test]
    fn at_most_32_addresses_are_listed_and_dialled() {
        let many: Vec<LocalNetwork> =
            (0..40_u8).map(|host| link(&format!("10.{host}.0.1/24"), false)).collect();
        let own = own_addresses(&many, 5000);
        assert_eq!(own.len(), limits::ADDRESSES);
        let listed: Vec<SocketAddr> =
            (0..100_u8).map(|host| SocketAddr::from(([10, 9, host, 1], 5000))).collect();
        assert_eq!(dial_order(&[], None, &listed, 0).len(), limits::ADDRESSES);
    }

    #[test]
    fn own_addresses_on_real_networks_come_before_those_of_containers() {
        let links = [link("172.17.0.1/16", true), link("192.168.1.2/24", false)];
        let expected = addresses(["192.168.1.2:5000", "172.17.0.1:5000"]);
        assert_eq!(own_addresses(&links, 5000), expected);
    }
}
