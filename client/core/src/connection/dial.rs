//! Connects to the first address of a host that responds.
//!
//! The client dials the addresses in the resolver's order, each one [`HEAD_START`] after the previous one, or as soon
//! as that one has failed (after RFC 8305, Happy Eyeballs). After a loss it dials all of them again every [`REDIAL_INTERVAL`].

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
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

use super::closed_port::wait_until_refused;
use crate::address::ServerAddress;
use crate::settings::CONNECT_TIMEOUT;

/// The delay between two addresses (RFC 8305, 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// How often the client dials all addresses again after a loss, beside the dials that still wait. QUIC repeats the first
/// packet of a dial less and less often (RFC 9002, 6.2.1): after five seconds, the next one follows four seconds later. A
/// dial is not given up for the next one, because a path may need several seconds for a handshake.
const REDIAL_INTERVAL: Duration = Duration::from_secs(1);

/// How long the resolver may take after a loss before the addresses that it has found earlier are dialled. Without a
/// network, it waits for its own servers, at first for five seconds (`resolv.conf(5)`).
const RESOLVE_AGAIN_TIMEOUT: Duration = Duration::from_millis(500);

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

/// When dialling ends without a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct DialLimits {
    /// The end of dialling, besides [`CONNECT_TIMEOUT`] for all addresses altogether.
    pub(super) deadline: Instant,
    /// Whether this follows the loss of a connection. Then each address is dialled again and again. Otherwise dialling
    /// ends as soon as no address can have a server, as its machine reports; after a loss it may be started again soon.
    pub(super) is_after_loss: bool,
}

/// Dials all of a server's addresses. Without a pin, any server that holds the key of its certificate is accepted.
/// `known` has the addresses that were found earlier, for a resolver that is out of reach; it is set to those found now.
pub(super) async fn dial(
    endpoint: &Endpoint,
    server: &ServerAddress,
    known: &Mutex<Vec<SocketAddr>>,
    identity: Option<&Arc<Identity>>,
    pin: Option<Fingerprint>,
    limits: DialLimits,
) -> Result<Connection, DialFailure> {
    let deadline = limits.deadline.min(Instant::now() + CONNECT_TIMEOUT);
    let limits = DialLimits { deadline, ..limits };
    let earlier = if limits.is_after_loss { known.lock().clone() } else { Vec::new() };
    let resolve_deadline = match earlier.as_slice() {
        [] => deadline,
        _ => deadline.min(Instant::now() + RESOLVE_AGAIN_TIMEOUT),
    };
    let addresses = match resolve(server, resolve_deadline).await {
        Ok(found) => {
            known.lock().clone_from(&found);
            found
        }
        Err(_) if !earlier.is_empty() => earlier,
        Err(failure) => return Err(failure),
    };
    race(endpoint, &addresses, identity, pin, limits).await
}

async fn race(
    endpoint: &Endpoint,
    addresses: &[SocketAddr],
    identity: Option<&Arc<Identity>>,
    pin: Option<Fingerprint>,
    limits: DialLimits,
) -> Result<Connection, DialFailure> {
    let mut waiting = addresses.iter().copied();
    let mut race = JoinSet::new();
    let mut failed: Vec<(SocketAddr, DialError)> = Vec::new();
    let mut refusals = JoinSet::new();
    let mut refused: Vec<(SocketAddr, io::ErrorKind)> = Vec::new();
    let mut redial_at = Instant::now() + REDIAL_INTERVAL;
    for address in addresses.iter().copied().filter(|_| !limits.is_after_loss) {
        refusals.spawn(async move { (address, wait_until_refused(address).await) });
    }
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
            return Err(dial_failure(addresses, failed, &refused));
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
            Some(result) = refusals.join_next() => {
                refused.extend(blocking::task_result(result).ok());
                if refused.len() == addresses.len() {
                    return Err(dial_failure(addresses, failed, &refused));
                }
            }
            () = sleep(HEAD_START), if waiting.len() > 0 => {}
            () = sleep_until(redial_at), if limits.is_after_loss => {
                waiting = addresses.iter().copied();
                redial_at = Instant::now() + REDIAL_INTERVAL;
            }
            () = sleep_until(limits.deadline) => {
                return Err(dial_failure(addresses, failed, &refused));
            }
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
fn dial_failure(
    addresses: &[SocketAddr],
    failed: Vec<(SocketAddr, DialError)>,
    refused: &[(SocketAddr, io::ErrorKind)],
) -> DialFailure {
    let reason = |address: &SocketAddr| {
        let refusal = refused.iter().find(|(other, _)| other == address);
        let why = match failed.iter().find(|(other, _)| other == address) {
            None | Some((_, DialError::Ended(ConnectionEnd::TimedOut))) => refusal
                .map_or_else(|| "no answer".to_owned(), |(_, kind)| refusal_text(*kind).to_owned()),
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

/// What the system reports, for people.
fn refusal_text(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ConnectionRefused => "no program listens at this port",
        io::ErrorKind::HostUnreachable => "this machine cannot be reached",
        _ => "this network cannot be reached",
    }
}

fn finished_dial(
    result: Result<DialledConnection, tokio::task::JoinError>,
) -> Option<DialledConnection> {
    blocking::task_result(result).ok()
}

#[cfg(test)]
mod tests {
    use quiver_transport::EndpointSettings;
    use quiver_transport::identity::Validity;
    use tokio::net::UdpSocket;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn server() -> (Endpoint, Identity) {
        let validity = Validity::days(chrono::Utc::now(), 1);
        let identity = Identity::create("server", &[], validity).unwrap();
        let any_port = address("127.0.0.1:0");
        let settings = EndpointSettings::default();
        let server = Endpoint::listen(any_port, &identity, &[Protocol::QUIVER_1], settings);
        (server.unwrap(), identity)
    }

    #[tokio::test]
    async fn a_silent_address_delays_the_dial_by_its_head_start() {
        let (server, identity) = server();
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let addresses = [silent.local_addr().unwrap(), server.local_addr().unwrap()];
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let connection = server.accept().await.unwrap().await.unwrap();
            connection.closed().await;
        });
        let endpoint = Endpoint::dialler(EndpointSettings::default()).unwrap();
        let pin = Some(identity.fingerprint());
        let within = |limit| DialLimits { deadline: Instant::now() + limit, is_after_loss: true };
        let limits = within(Duration::from_secs(5));
        let connection = race(&endpoint, &addresses, None, pin, limits).await.unwrap();
        assert!(connection.remote_address().port() == addresses[1].port());

        let limits = within(Duration::from_millis(10));
        let failure = race(&endpoint, &addresses[..1], None, pin, limits).await.unwrap_err();
        assert!(matches!(failure, DialFailure::Unreachable(why) if why.starts_with("no answer (")));
    }

    #[tokio::test]
    async fn dialling_ends_early_only_if_every_address_is_refused() {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let closed = ["127.0.0.1:0", "127.0.0.2:0"]
            .map(|text| std::net::UdpSocket::bind(text).unwrap().local_addr().unwrap());
        let endpoint = Endpoint::dialler(EndpointSettings::default()).unwrap();
        let dial = async |addresses: &[SocketAddr], limit, is_after_loss| {
            let start = Instant::now();
            let limits = DialLimits { deadline: start + limit, is_after_loss };
            match race(&endpoint, addresses, None, None, limits).await {
                Err(DialFailure::Unreachable(why)) => (why, start.elapsed()),
                other => panic!("{other:?}"),
            }
        };
        let long = Duration::from_secs(8);
        let (why, took) = dial(&closed, long, false).await;
        assert_eq!(why.matches("no program listens at this port (").count(), 2, "{why}");
        assert!(took < long / 2, "{took:?}");
        let short = Duration::from_secs(1);
        let one_silent = [closed[0], silent.local_addr().unwrap()];
        let (why, took) = dial(&one_silent, short, false).await;
        assert!(took >= short, "{took:?}");
        assert!(why.starts_with("no program") && why.contains(", no answer ("), "{why}");
        let (why, took) = dial(&closed, short, true).await;
        assert!(took >= short && why.starts_with("no answer ("), "{took:?} {why}");
    }

    /// Receives packets on a silent socket until they are of so many dials: each has a connection id of its own.
    async fn wait_for_dials(socket: &UdpSocket, dials: usize) {
        let (mut packet, mut ids) = ([0; 2048], std::collections::HashSet::new());
        while ids.len() < dials {
            socket.recv(&mut packet).await.unwrap();
            // Flags, the version, and the length of the id (RFC 9000, 17.2).
            let length = usize::from(packet[5]);
            ids.insert(packet[6..6 + length].to_vec());
        }
    }

    #[tokio::test]
    async fn an_address_is_dialled_again_every_second_after_a_loss() {
        let endpoint = Endpoint::dialler(EndpointSettings::default()).unwrap();
        for (is_after_loss, time) in
            [(false, 5 * REDIAL_INTERVAL / 2), (true, 60 * REDIAL_INTERVAL)]
        {
            let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let addresses = [silent.local_addr().unwrap()];
            let limits = DialLimits { deadline: Instant::now() + time, is_after_loss };
            let start = Instant::now();
            let is_repeated = tokio::select! {
                ended = race(&endpoint, &addresses, None, None, limits) => {
                    ended.unwrap_err();
                    false
                }
                () = wait_for_dials(&silent, 3) => true,
            };
            assert_eq!(is_repeated, is_after_loss);
            assert!(start.elapsed() >= 2 * REDIAL_INTERVAL, "{:?}", start.elapsed());
        }
    }

    #[tokio::test]
    async fn the_addresses_found_earlier_are_dialled_without_a_resolver() {
        let (server, _) = server();
        let port = server.local_addr().unwrap();
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let connection = server.accept().await.unwrap().await.unwrap();
            connection.closed().await;
        });
        let endpoint = Endpoint::dialler(EndpointSettings::default()).unwrap();
        // No resolver knows it (RFC 6761, 6.4).
        let name: ServerAddress = format!("server.invalid:{}", port.port()).parse().unwrap();
        let known = Mutex::new(vec![port]);
        let within = |is_after_loss| DialLimits {
            deadline: Instant::now() + Duration::from_secs(8),
            is_after_loss,
        };
        let failure = dial(&endpoint, &name, &known, None, None, within(false)).await;
        assert!(matches!(failure, Err(DialFailure::Unresolved(_))), "{failure:?}");
        let connection = dial(&endpoint, &name, &known, None, None, within(true)).await.unwrap();
        assert_eq!(connection.remote_address().port(), port.port());
    }

    #[test]
    fn a_failed_dial_reports_every_address() {
        let (six, four) = (address("[::1]:1"), address("127.0.0.1:1"));
        let failed = vec![(four, DialError::Ended(ConnectionEnd::Refused))];
        let DialFailure::Unreachable(why) = dial_failure(&[six, four], failed, &[]) else {
            panic!()
        };
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
            dial_failure(&[six, four], failed, &[]),
            DialFailure::Untrusted(TrustError::BadSignature)
        ));
    }
}
