//! One connection out of a host's several addresses: the first that answers.
//!
//! The addresses are tried in the resolver's order, the next one a moment after the one before or as
//! soon as that has failed (after RFC 8305, Happy Eyeballs).

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
use crate::settings::CONNECT;

/// The head start of an address before the next (RFC 8305, 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// Why no connection came about.
#[derive(Debug)]
pub(super) enum DialFailure {
    /// Somebody answered who is not to be believed.
    Untrusted(TrustError),
    /// The host's name leads nowhere.
    Unresolved(String),
    /// Every address with its reason.
    Unreachable(String),
}

type DialledConnection = (SocketAddr, Result<Connection, DialError>);

/// Dials all of a server's addresses; [`CONNECT`] for all of it. Without a pin, whoever answers and
/// holds the key of their certificate is taken.
pub(super) async fn dial(
    endpoint: &Endpoint,
    server: &ServerAddress,
    identity: Option<&Arc<Identity>>,
    pin: Option<Fingerprint>,
) -> Result<Connection, DialFailure> {
    let deadline = Instant::now() + CONNECT;
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
    let mut lost: Vec<(SocketAddr, DialError)> = Vec::new();
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
            return Err(judge(addresses, lost));
        }
        tokio::select! {
            Some(result) = race.join_next() => match finished(result) {
                Some((address, Ok(connection))) => {
                    debug!(%address, "connected");
                    return Ok(connection);
                }
                Some((address, Err(error))) => {
                    debug!(%address, error = %display_remark(&error.to_string()), "no connection");
                    lost.push((address, error));
                }
                None => {}
            },
            () = sleep(HEAD_START), if waiting.len() > 0 => {}
            () = sleep_until(deadline) => return Err(judge(addresses, lost)),
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
        Err(_) => return Err(DialFailure::Unresolved("no answer from the resolver".to_owned())),
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

/// On a thread that nobody waits for: a resolver may be silent for longer than a person who leaves.
async fn look_up(server: &ServerAddress) -> io::Result<Vec<SocketAddr>> {
    let (found, answer) = oneshot::channel();
    let (host, port) = (server.host().to_owned(), server.port());
    let look = move || {
        // Nobody waits any more where the time was up.
        let _ = found.send((host.as_str(), port).to_socket_addrs().map(Vec::from_iter));
    };
    thread::Builder::new().name("resolver".to_owned()).spawn(look)?;
    answer.await.unwrap_or_else(|_| Err(io::Error::other("the resolver failed")))
}

/// A server that answers and is not believed is the news, whatever became of the other addresses.
fn judge(addresses: &[SocketAddr], lost: Vec<(SocketAddr, DialError)>) -> DialFailure {
    let reason = |address: &SocketAddr| {
        let why = match lost.iter().find(|(other, _)| other == address) {
            None | Some((_, DialError::Ended(ConnectionEnd::Silent))) => "no answer".to_owned(),
            Some((_, error)) => display_remark(&error.to_string()).into_owned(),
        };
        format!("{why} ({address})")
    };
    let reasons: Vec<String> = addresses.iter().map(reason).collect();
    for (_, error) in lost {
        if let DialError::Trust(why) = error {
            return DialFailure::Untrusted(why);
        }
    }
    DialFailure::Unreachable(reasons.join(", "))
}

fn finished(
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
    async fn an_address_that_does_not_answer_costs_a_moment() {
        let validity = Validity::days(chrono::Utc::now(), 1);
        let identity = Identity::create("server", &[], validity).unwrap();
        let server =
            Endpoint::listen(address("127.0.0.1:0"), &identity, &[Protocol::QUIVER_1]).unwrap();
        let mute = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let addresses = [mute.local_addr().unwrap(), server.local_addr().unwrap()];
        let mut answering = JoinSet::new();
        answering.spawn(async move {
            let connection = server.accept().await.unwrap().await.unwrap();
            connection.closed().await;
        });
        let endpoint = Endpoint::dialler().unwrap();
        let pin = Some(identity.fingerprint());
        let deadline = Instant::now() + Duration::from_secs(5);
        let connection = race(&endpoint, &addresses, None, pin, deadline).await.unwrap();
        assert!(connection.remote_address().port() == addresses[1].port());

        let deadline = Instant::now() + Duration::from_millis(10);
        let nobody = race(&endpoint, &addresses[..1], None, pin, deadline).await.unwrap_err();
        assert!(matches!(nobody, DialFailure::Unreachable(why) if why.starts_with("no answer (")));
    }

    #[test]
    fn every_address_is_reported() {
        let (six, four) = (address("[::1]:1"), address("127.0.0.1:1"));
        let lost = vec![(four, DialError::Ended(ConnectionEnd::Refused))];
        let DialFailure::Unreachable(why) = judge(&[six, four], lost) else { panic!() };
        assert_eq!(why, "no answer ([::1]:1), connection refused (127.0.0.1:1)");
    }

    #[test]
    fn distrust_is_the_news() {
        let (six, four) = (address("[::1]:1"), address("127.0.0.1:1"));
        let lost = vec![
            (six, DialError::Ended(ConnectionEnd::Refused)),
            (four, DialError::Trust(TrustError::BadSignature)),
        ];
        assert!(matches!(
            judge(&[six, four], lost),
            DialFailure::Untrusted(TrustError::BadSignature)
        ));
    }
}
