//! Reads the headers of captured IP packets (RFC 791, RFC 8200, RFC 768). Checks no checksums.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Packets with the same protocol, source and destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// The number that IANA assigned to the protocol: 17 is UDP.
    pub protocol: u8,
    /// Where the packets come from. The port is 0 for protocols without ports, and for all but the first fragment
    /// of a packet.
    pub source: SocketAddr,
    /// Where they are sent to; the port is as that of the source.
    pub destination: SocketAddr,
}

impl Flow {
    /// Whether the protocol is UDP.
    #[must_use]
    pub fn is_udp(&self) -> bool {
        self.protocol == UDP
    }

    /// Whether the packets are between two addresses, in either direction.
    #[must_use]
    pub fn is_between(&self, one: IpAddr, other: IpAddr) -> bool {
        let pair = (self.source.ip(), self.destination.ip());
        pair == (one, other) || pair == (other, one)
    }
}

/// The flow and the payload of an IP packet; for UDP, what follows its header. `None` for other packets, such as
/// those of ARP.
pub(crate) fn parse(packet: &[u8]) -> Option<(Flow, &[u8])> {
    let (protocol, source, destination, payload, is_first_fragment) = match packet.first()? >> 4 {
        4 => parse_v4(packet)?,
        6 => parse_v6(packet)?,
        _ => return None,
    };
    let has_ports = is_first_fragment && matches!(protocol, TCP | UDP);
    let port = |at: usize| {
        let bytes = has_ports.then(|| payload.get(at..at + 2)).flatten();
        bytes.map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    };
    let source = SocketAddr::new(source, port(0));
    let destination = SocketAddr::new(destination, port(2));
    let payload = if has_ports && protocol == UDP { payload.get(8..)? } else { payload };
    Some((Flow { protocol, source, destination }, payload))
}

type Fields<'a> = (u8, IpAddr, IpAddr, &'a [u8], bool);

fn parse_v4(packet: &[u8]) -> Option<Fields<'_>> {
    let header = packet.get(..20)?;
    let address = |at: usize| {
        let bytes: [u8; 4] = header[at..at + 4].try_into().expect("four bytes");
        IpAddr::V4(Ipv4Addr::from(bytes))
    };
    let payload = packet.get(usize::from(header[0] & 15) * 4..)?;
    let fragment_offset = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
    Some((header[9], address(12), address(16), payload, fragment_offset == 0))
}

fn parse_v6(packet: &[u8]) -> Option<Fields<'_>> {
    const FRAGMENT: u8 = 44;
    let header = packet.get(..40)?;
    let address = |at: usize| {
        let bytes: [u8; 16] = header[at..at + 16].try_into().expect("sixteen bytes");
        IpAddr::V6(Ipv6Addr::from(bytes))
    };
    let payload = &packet[40..];
    if header[6] == FRAGMENT {
        let fragment = payload.get(..8)?;
        let is_first = u16::from_be_bytes([fragment[2], fragment[3]]) >> 3 == 0;
        return Some((fragment[0], address(8), address(24), &payload[8..], is_first));
    }
    Some((header[6], address(8), address(24), payload, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A UDP packet of IPv4 from 10.0.0.1:258 to 10.0.0.2:772 with the payload "abc".
    fn packet_v4() -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 31, 0, 0, 0, 0, 64, 17, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2, 1, 2, 3, 4, 0, 11, 0, 0]);
        packet.extend(b"abc");
        packet
    }

    #[test]
    fn the_flow_and_the_payload_of_udp_are_read() {
        let packet = packet_v4();
        let (flow, payload) = parse(&packet).unwrap();
        assert!(flow.is_udp());
        assert_eq!(flow.source, "10.0.0.1:258".parse().unwrap());
        assert_eq!(flow.destination, "10.0.0.2:772".parse().unwrap());
        assert_eq!(payload, b"abc");
        let mut packet = vec![0x60, 0, 0, 0, 0, 11, 17, 64];
        packet.extend(Ipv6Addr::LOCALHOST.octets());
        packet.extend(Ipv6Addr::UNSPECIFIED.octets());
        packet.extend(&packet_v4()[20..]);
        let (flow, payload) = parse(&packet).unwrap();
        assert_eq!(flow.source, "[::1]:258".parse().unwrap());
        assert_eq!(flow.destination, "[::]:772".parse().unwrap());
        assert_eq!(payload, b"abc");
    }

    #[test]
    fn a_later_fragment_has_no_ports() {
        let mut packet = packet_v4();
        packet[7] = 1;
        let (flow, payload) = parse(&packet).unwrap();
        assert_eq!((flow.source.port(), flow.destination.port()), (0, 0));
        assert_eq!(payload.len(), 11);
    }

    #[test]
    fn a_short_packet_and_one_of_arp_are_no_flow() {
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&packet_v4()[..19]), None);
        assert_eq!(parse(&packet_v4()[..24]), None);
        assert_eq!(parse(&[0, 1, 8, 0, 6, 4, 0, 1]), None);
    }
}
