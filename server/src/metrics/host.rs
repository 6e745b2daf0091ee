//! The hosts that requests for the metrics page may name. Against DNS rebinding: an attacker's web page whose host
//! name resolves to this server's address could otherwise read the metrics through a visitor's browser, which sends
//! that name as Host.
//!
//! IP addresses and `localhost` are always allowed, because an attacker cannot make them resolve to another address.
//! They also work through a mapped port, a tunnel or a proxy.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use hyper::header::HOST;
use hyper::http::uri::Authority;
use hyper::{Request, Version};
use thiserror::Error;

/// The most bytes of a DNS name (RFC 1035, section 2.3.4).
const MAX_NAME_LENGTH: usize = 253;

/// A host name, without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

/// The text is not a host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected the name of a host without a port, like metrics.example.org")]
pub struct BadHostName;

/// Why a request is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostError {
    /// Host is missing, repeated or malformed (RFC 9112, section 3.2).
    Malformed,
    /// The page is not served under this name.
    NotServed,
}

impl HostName {
    fn matches(&self, host: &str) -> bool {
        self.0.eq_ignore_ascii_case(strip_trailing_dot(host))
    }
}

impl FromStr for HostName {
    type Err = BadHostName;

    fn from_str(text: &str) -> Result<Self, BadHostName> {
        let name = strip_trailing_dot(text);
        let is_label_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_label_byte);
        if name.len() > MAX_NAME_LENGTH || !name.split('.').all(is_label) {
            return Err(BadHostName);
        }
        Ok(Self(name.to_owned()))
    }
}

/// Checks the host that a request names: an IP address, `localhost`, or one of `names`.
///
/// # Errors
/// [`HostError`].
pub fn check<B>(request: &Request<B>, names: &[HostName]) -> Result<(), HostError> {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => {
            let host = Authority::try_from(host.as_bytes()).map_err(|_| HostError::Malformed)?;
            check_authority(&host, names)?;
        }
        // HTTP/1.0 has no Host, and no browser uses it.
        (None, None) if request.version() < Version::HTTP_11 => {}
        _ => return Err(HostError::Malformed),
    }
    // The request line may name a host too.
    request.uri().authority().map_or(Ok(()), |host| check_authority(host, names))
}

fn check_authority(authority: &Authority, names: &[HostName]) -> Result<(), HostError> {
    let host = authority.host();
    if host.is_empty() || authority.as_str().contains('@') {
        return Err(HostError::Malformed);
    }
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_address = match in_brackets {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv4Addr>().is_ok(),
    };
    let is_served = is_address
        || host.eq_ignore_ascii_case("localhost")
        || names.iter().any(|name| name.matches(host));
    if is_served { Ok(()) } else { Err(HostError::NotServed) }
}

fn strip_trailing_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(uri: &str, version: Version, hosts: &[&str]) -> Result<(), HostError> {
        let mut request = Request::builder().uri(uri).version(version);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let names = ["Metrics.example.org.".parse().unwrap(), "quiver".parse().unwrap()];
        check(&request.body(()).unwrap(), &names)
    }

    #[test]
    fn the_page_is_served_under_addresses_localhost_and_configured_names_only() {
        let one = |host| checked("/metrics", Version::HTTP_11, &[host]);
        for right in [
            "127.0.0.1",
            "127.0.0.1:9464",
            "192.0.2.7:80",
            "[::1]",
            "[2001:db8::7]:9464",
            "localhost",
            "LOCALHOST:9464",
            "metrics.example.org",
            "METRICS.example.org.:9464",
            "quiver:9464",
        ] {
            assert_eq!(one(right), Ok(()), "{right}");
        }
        for wrong in [
            "evil.example",
            "evil.example:9464",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "quiver.evil.example",
            "0x7f.1",
            "2130706433",
            "127.1",
            "example.org",
        ] {
            assert_eq!(one(wrong), Err(HostError::NotServed), "{wrong}");
        }
        for malformed in
            ["", "a b", "quiver@127.0.0.1", "http://127.0.0.1/", "::1", "[::1", ":9464"]
        {
            assert_eq!(one(malformed), Err(HostError::Malformed), "{malformed}");
        }
    }

    #[test]
    fn a_request_names_exactly_one_host_and_its_request_line_is_checked_too() {
        let malformed = Err(HostError::Malformed);
        assert_eq!(checked("/metrics", Version::HTTP_11, &[]), malformed);
        assert_eq!(checked("/metrics", Version::HTTP_10, &[]), Ok(()));
        assert_eq!(
            checked("/metrics", Version::HTTP_10, &["evil.example"]),
            Err(HostError::NotServed)
        );
        assert_eq!(checked("/metrics", Version::HTTP_11, &["quiver", "quiver"]), malformed);
        let uri = "http://evil.example/metrics";
        assert_eq!(checked(uri, Version::HTTP_11, &["quiver"]), Err(HostError::NotServed));
        assert_eq!(checked("http://quiver/metrics", Version::HTTP_11, &["quiver"]), Ok(()));
    }

    #[test]
    fn a_host_name_has_no_port() {
        for name in ["a", "quiver", "metrics.example.org", "metrics.example.org.", "a_b-c.d"] {
            assert!(name.parse::<HostName>().is_ok(), "{name}");
        }
        let long = "a.".repeat(127) + "a";
        for name in ["", ".", "a..b", "a:9464", "http://a", "a/b", "[::1]", "*", "a b", "ä", &long]
        {
            assert_eq!(name.parse::<HostName>(), Err(BadHostName), "{name}");
        }
    }
}
