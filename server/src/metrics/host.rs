//! The hosts under which the metrics page may be asked for. A page of the web whose name is made to lead here
//! (DNS rebinding) would read it through its visitors' browsers; what such a browser sends as Host is that name.
//!
//! An IP address and `localhost` are no names that others can make lead anywhere, so they are always right: in
//! whatever way the request came here, as through a mapped port, a tunnel or a proxy.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use hyper::header::HOST;
use hyper::http::uri::Authority;
use hyper::{Request, Version};
use thiserror::Error;

/// The longest name of DNS, in bytes (RFC 1035, 2.3.4).
const LONGEST: usize = 253;

/// A host's name, without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

/// A text that is no name of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected the name of a host without a port, like metrics.example.org")]
pub struct BadHostName;

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostError {
    /// There is no Host, or there are several, or it is none (RFC 9112, 3.2).
    Malformed,
    /// It is a name that is not one of this page's.
    NotServed,
}

impl HostName {
    fn is(&self, host: &str) -> bool {
        self.0.eq_ignore_ascii_case(without_dot(host))
    }
}

impl FromStr for HostName {
    type Err = BadHostName;

    fn from_str(text: &str) -> Result<Self, BadHostName> {
        let name = without_dot(text);
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_name = |part: &str| !part.is_empty() && part.bytes().all(is_part);
        if name.len() > LONGEST || !name.split('.').all(is_name) {
            return Err(BadHostName);
        }
        Ok(Self(name.to_owned()))
    }
}

/// Checks what a request says of the host it is for; `names` are allowed beside addresses and `localhost`.
///
/// # Errors
/// [`HostError`].
pub fn check<B>(request: &Request<B>, names: &[HostName]) -> Result<(), HostError> {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => {
            let host = Authority::try_from(host.as_bytes()).map_err(|_| HostError::Malformed)?;
            check_one(&host, names)?;
        }
        // Before HTTP/1.1 there was no Host, and no browser is that old.
        (None, None) if request.version() < Version::HTTP_11 => {}
        _ => return Err(HostError::Malformed),
    }
    // The request's line may name one too.
    request.uri().authority().map_or(Ok(()), |host| check_one(host, names))
}

fn check_one(authority: &Authority, names: &[HostName]) -> Result<(), HostError> {
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
        || names.iter().any(|name| name.is(host));
    if is_served { Ok(()) } else { Err(HostError::NotServed) }
}

fn without_dot(name: &str) -> &str {
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
    fn addresses_localhost_and_chosen_names_are_right_and_other_names_wrong() {
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
    fn there_is_one_host_and_the_requests_line_counts_too() {
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
    fn a_name_of_a_host_has_no_port() {
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
