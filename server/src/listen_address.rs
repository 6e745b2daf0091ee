//! `--listen` as people type it: a port, an address, or both. Asks no resolver.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// The port on which the server listens by default.
pub const DEFAULT_PORT: u16 = 4433;

/// Where the server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenAddress {
    /// Every address of this machine: IPv6 and IPv4 on one socket, or IPv4 alone on a system without IPv6.
    Every {
        /// The port.
        port: u16,
    },
    /// One address. The IPv6 wildcard takes IPv4 too.
    One(SocketAddr),
}

impl Default for ListenAddress {
    fn default() -> Self {
        Self::Every { port: DEFAULT_PORT }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse() {
            return Ok(Self::Every { port });
        }
        let parsed = parse_address(text, Some(DEFAULT_PORT));
        parsed.map(Self::One).ok_or_else(|| {
            "expected a port, an address or localhost, like 4433, 192.0.2.7:4433, [::1]:4433 or localhost:4433"
                .to_owned()
        })
    }
}

/// Parses `ADDRESS:PORT`, where the address may be `localhost`. Without a default port, the port is required.
///
/// `localhost` is 127.0.0.1: a socket has one address, and clients try all that their resolver knows for that name.
pub(crate) fn parse_address(text: &str, default_port: Option<u16>) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Some(port) = default_port {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Some((ip, port).into());
        }
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (text, default_port),
    };
    host.eq_ignore_ascii_case("localhost").then_some((Ipv4Addr::LOCALHOST, port?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_addresses_and_localhost_are_understood() {
        for (text, expected) in [
            ("4433", ListenAddress::Every { port: 4433 }),
            (":4433", ListenAddress::Every { port: 4433 }),
            (":0", ListenAddress::Every { port: 0 }),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("localhost:5000", "127.0.0.1:5000"),
            ("LocalHost", "127.0.0.1:4433"),
            ("192.0.2.7", "192.0.2.7:4433"),
            ("192.0.2.7:1", "192.0.2.7:1"),
            ("::1", "[::1]:4433"),
            ("[::1]", "[::1]:4433"),
            ("[::]:4433", "[::]:4433"),
            ("0.0.0.0:0", "0.0.0.0:0"),
        ] {
            let expected = ListenAddress::One(expected.parse().unwrap());
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in
            ["", ":", "65536", "-1", "example.org:4433", "localhost:x", "localhost:", "[::1", "a b"]
        {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
    }
}
