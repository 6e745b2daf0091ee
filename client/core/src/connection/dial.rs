//! Connects to the first address of a host that responds.
//!
//! The client dials the addresses in the resolver's order, each one [`HEAD_START`] after the previous one, or as soon
//! as that one has failed (after RFC 8305, Happy Eyeballs).

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use quiver_protocol::Fingerprint;
use quiver_protocol::text::display_remark;
use quiver_transfer::blocking;
use quiver_transport::endpoint::DialError;
use quiver_transport::{
    Connection, ConnectionEnd, Endpoint, Identity, Protocol, ServerVerifier, TrustError,
};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::debug;

use crate::address::ServerAddress;
use crate::settings::CONNECT_TIMEOUT;

/// The delay between two addresses (RFC 8305, 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// Why dialling failed.
#[derive(Debug)]
pub(super) enum DialFailure {
    /// A server responded, and is not trusted.
    Untrusted(TrustError),
    /// The host's name could not be resolved.
    Unresolved(String),
    /// No address responded; the reason for each.
    Unreachable(String),
}

type DialledConnection = (SocketAddr, Result<Connection, DialError>);

/// Dials all of a server's addresses, for at most [`CONNECT_TIMEOUT`] altogether. Without a pin, any server that
/// holds the key of its certificate is accepted.
pub(super) async fn dial(
    endpoint: &Endpoint,
    server: &ServerAddress,
    identity: Option<&Arc<Identity>>,
    pin: Option<Fingerprint>,
) -> Result<Connection, DialFailure> {
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let addresses = resolve(server, deadline).await?;
    race(endpoint, &addresses, identity, pin, deadline).await
}

async fn race(
    endpoint: &Endpoint,
    addresses: &[SocketAddr],
    identity: Option<&Arc<Identity>>,
    pin: Option<Fingerprint>,
    deadline: Instant,
) -> Result<Connection, DialFailure> {
    let mut waiting = addresses.iter().copied();
    let mut race = JoinSet::new();
    let mut failed: Vec<(SocketAddr, DialError)> = Vec::new();
    loop {
        if let Some(address) = waiting.next() {
            debug!(%address, "dialling");
            let (endpoint, identity) = (endpoint.clone(), identity.cloned());
            race.spawn(async move {
                let verifier = ServerVerifier::new(pin);
                (
                    address,
                    endpoint.dial(address, Protocol::QUIVER_1, identity.as_deref(), verifier).await,
                )
            });
        }
        if race.is_empty() {
            return Err(dial_failure(addresses, failed));
        }
        tokio::select! {
            Some(result) = race.join_next() => match finished_dial(result) {
                Some((address, Ok(connection))) => {
                    debug!(%address, "connected");
                    return Ok(connection);
                }
                Some((address, Err(error))) => {
                    debug!(%address, error = %display_remark(&error.to_string()), "dialling failed");
                    failed.push((address, error));
                }
                None => {}
            },
            () = sleep(HEAD_START), if waiting.len() > 0 => {}
            () = sleep_until(deadline) => return Err(dial_failure(addresses, failed)),
        }
    }
}

async fn resolve(
    server: &ServerAddress,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, DialFailure> {
    let found = match timeout_at(deadline, look_up(server)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return Err(DialFailure::Unresolved(error.to_string())),
        Err(_) => return Err(DialFailure::Unresolved("the resolver did not respond".to_owned())),
    };
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(DialFailure::Unresolved("it has no address".to_owned()));
    }
    Ok(addresses)
}

/// Resolves a host on a thread of its own, which the program does not wait for: a resolver may block for longer than
/// a user who quits would wait.
async fn look_up(server: &ServerAddress) -> io::Result<Vec<SocketAddr>> {
    let (sender, found) = oneshot::channel();
    let (host, port) = (server.host().to_owned(), server.port());
    let resolve = move || {
        // Fails if the caller has timed out.
        let _ = sender.send((host.as_str(), port).to_socket_addrs().map(Vec::from_iter));
    };
    thread::Builder::new().name("resolver".to_owned()).spawn(resolve)?;
    found.await.unwrap_or_else(|_| Err(io::Error::other("the resolver failed")))
}

/// The failure to report: an untrusted server, or else the reason for each address.
fn dial_failure(addresses: &[SocketAddr], failed: Vec<(SocketAddr, DialError)>) -> DialFailure {
    let reason = |address: &SocketAddr| {
        let why = match failed.iter().find(|(other, _)| other == address) {
            None | Some((_, DialError::Ended(ConnectionEnd::TimedOut))) => "no answer".to_owned(),
            Some((_, error)) => display_remark(&error.to_string()).into_owned(),
        };
        format!("{why} ({address})")
    };
    let reasons: Vec<String> = addresses.iter().map(reason).collect();
    for (_, error) in failed {
        if let DialError::Trust(why) = error {
            return DialFailure::Untrusted(why);
        }
    }
    DialFailure::Unreachable(reasons.join(", "))
}

fn finished_dial(
    result: Result<DialledConnection, tokio::task::JoinError>,
) -> Option<DialledConnection> {
    blocking::task_result(result).ok()
}

#[cfg(test)]
mod tests {
    use quiver_transport::identity::Validity;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_silent_address_delays_the_dial_by_its_head_start() {
        let validity = Validity::days(chrono::Utc::now(), 1);
        let identity = Identity::create("server", &[], validity).unwrap();
        let server =
            Endpoint::listen(address("127.0.0.1:0"), &identity, &[Protocol::QUIVER_1]).unwrap();
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let addresses = [silent.local_addr().unwrap(), server.local_addr().unwrap()];
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let connection = server.accept().await.unwrap().await.unwrap();
            connection.closed().await;
        });
        let endpoint = Endpoint::dialler().unwrap();
        let pin = Some(identity.fingerprint());
        let deadline = Instant::now() + Duration::from_secs(5);
        let connection = race(&endpoint, &addresses, None, pin, deadline).await.unwrap();
        assert!(connection.remote_address().port() == addresses[1].port());

        let deadline = Instant::now() + Duration::from_millis(10);
        let failure = race(&endpoint, &addresses[..1], None, pin, deadline).await.unwrap_err();
        assert!(matches!(failure, DialFailure::Unreachable(why) if why.starts_with("no answer (")));
    }

    #[test]
    fn a_failed_dial_reports_every_address() {
        let (six, four) = (address("[::1]:1"), address("127.0.0.1:1"));
        let failed = vec![(four, DialError::Ended(ConnectionEnd::Refused))];
        let DialFailure::Unreachable(why) = dial_failure(&[six, four], failed) else { panic!() };
        assert_eq!(why, "no answer ([::1]:1), connection refused (127.0.0.1:1)");
    }

    #[test]
    fn an_untrusted_server_takes_precedence_over_unreachable_addresses() {
        let (six, four) = (address("[::1]:1"), address("127.0.0.1:1"));
        let failed = vec![
            (six, DialError::Ended(ConnectionEnd::Refused)),
            (four, DialError::Trust(TrustError::BadSignature)),
        ];
        assert!(matches!(
            dial_failure(&[six, four], failed),
            DialFailure::Untrusted(TrustError::BadSignature)
        ));
    }
}
