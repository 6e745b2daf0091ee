//! A server address, `HOST[:PORT]`, as users type it. Resolves no names.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use thiserror::Error;

/// The default port of a server.
pub const DEFAULT_PORT: u16 = 4433;

/// A server's host and port. All spellings of an address have the same `Display` form, so that the client
/// remembers a server once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    host: String,
    port: u16,
}

/// Why a text is not a server address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// The text has no host.
    #[error("{0:?} has no host")]
    MissingHost(String),
    /// The host contains other characters than letters, digits, dots, hyphens and underscores.
    #[error("{0:?} is not a host name or an address")]
    InvalidHost(String),
    /// The text after the last colon is not a port.
    #[error("{0:?} is not a port from 1 to 65535")]
    InvalidPort(String),
}

impl ServerAddress {
    /// The server on this machine, at the default port.
    #[must_use]
    pub fn local() -> Self {
        Self { host: "localhost".to_owned(), port: DEFAULT_PORT }
    }

    /// The host in the form that a resolver takes, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let invalid_host = || AddressError::InvalidHost(text.to_owned());
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, suffix) = rest.split_once(']').ok_or_else(invalid_host)?;
            if !is_ipv6(host) {
                return Err(invalid_host());
            }
            let port = match suffix.strip_prefix(':') {
                Some(port) => Some(port),
                None if suffix.is_empty() => None,
                None => return Err(invalid_host()),
            };
            (host, port)
        } else if is_ipv6(text) {
            (text, None)
        } else {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            if port.is_some_and(|port| port.contains([':', '/'])) {
                return Err(invalid_host());
            }
            if host.is_empty() {
                return Err(AddressError::MissingHost(text.to_owned()));
            }
            let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
            if !host.chars().all(is_name) || host.starts_with('-') {
                return Err(invalid_host());
            }
            (host, port)
        };
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => port
                .parse()
                .ok()
                .filter(|number| *number != 0 && !port.starts_with('+'))
                .ok_or_else(|| AddressError::InvalidPort(port.to_owned()))?,
        };
        Ok(Self { host: host.to_lowercase(), port })
    }
}

/// Whether the text is an IPv6 address, optionally with a zone after `%` (RFC 4007, 11).
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    address.parse::<Ipv6Addr>().is_ok()
        && zone.is_none_or(|zone| {
            !zone.is_empty() && zone.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        })
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_an_address_have_one_form() {
        for (typed, expected) in [
            ("localhost", "localhost:4433"),
            ("LocalHost:5000", "localhost:5000"),
            ("10.0.0.7", "10.0.0.7:4433"),
            ("10.0.0.7:1", "10.0.0.7:1"),
            ("::1", "[::1]:4433"),
            ("[::1]", "[::1]:4433"),
            ("[::1]:65535", "[::1]:65535"),
            ("fe80::1%eth0", "[fe80::1%eth0]:4433"),
            ("my_host.example-1.org", "my_host.example-1.org:4433"),
        ] {
            let address: ServerAddress = typed.parse().unwrap();
            assert_eq!(address.to_string(), expected);
            assert_eq!(address.to_string().parse::<ServerAddress>().unwrap(), address);
        }
    }

    #[test]
    fn invalid_addresses_are_rejected() {
        for bad in [
            "",
            ":4433",
            "a b",
            "https://host",
            "host:",
            "host:0",
            "host:65536",
            "host:+1",
            "host:x",
            "[::1",
            "[::1]x",
            "[host]:1",
            "1:2:3",
            "-host",
            "#host",
            "::1%",
            "user@host",
        ] {
            assert!(bad.parse::<ServerAddress>().is_err(), "{bad:?}");
        }
    }
}
