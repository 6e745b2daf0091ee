//! Identities, endpoints on loopback, and a relay between two that can stop one direction.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quiver_transport::endpoint::DialError;
use quiver_transport::identity::Validity;
use quiver_transport::{
    AcceptedConnection, Connection, ConnectionEnd, Endpoint, Identity, Protocol, ServerVerifier,
};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A protocol between peers.
pub(crate) const PEER: Protocol = Protocol::peer_to_peer(b"test-peer/1");

/// For whatever must happen, on a machine under load.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for what must happen.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    timeout(DEADLINE, future).await.unwrap()
}

pub(crate) fn identity(name: &str) -> Identity {
    Identity::create(name, &[], Validity::days(chrono::Utc::now(), 1)).unwrap()
}

/// An endpoint on 127.0.0.1 that accepts these protocols.
pub(crate) fn listener(identity: &Identity, protocols: &[Protocol]) -> Endpoint {
    Endpoint::listen((Ipv4Addr::LOCALHOST, 0).into(), identity, protocols).unwrap()
}

/// Where an endpoint is reached over IPv4.
pub(crate) fn address(endpoint: &Endpoint) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, endpoint.local_addr().unwrap().port()).into()
}

/// The next connection that another endpoint dials.
pub(crate) async fn accept(endpoint: &Endpoint) -> Result<AcceptedConnection, ConnectionEnd> {
    let incoming = within(endpoint.accept()).await.unwrap();
    within(endpoint.start_handshake(incoming).unwrap().complete()).await
}

/// Dials, expecting the key of `other`.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    address: SocketAddr,
    protocol: Protocol,
    identity: Option<&Identity>,
    other: &Identity,
) -> Result<Connection, DialError> {
    let verifier = ServerVerifier::new(Some(other.fingerprint()));
    within(endpoint.dial(address, protocol, identity, verifier)).await
}

/// Two connected endpoints, and the relay between them.
pub(crate) struct Pair {
    pub(crate) dialled: Connection,
    /// Not promoted.
    pub(crate) accepted: AcceptedConnection,
    pub(crate) dialling: Endpoint,
    pub(crate) accepting: Endpoint,
    pub(crate) relay: Relay,
}

/// One endpoint dials another over a relay, to speak `protocol`.
pub(crate) async fn pair(protocol: Protocol) -> Pair {
    let [dialler, acceptor] = ["dialler", "acceptor"].map(identity);
    let (dialling, accepting) = (Endpoint::dialler().unwrap(), listener(&acceptor, &[protocol]));
    let relay = Relay::to(address(&accepting)).await;
    let dial = dial(&dialling, relay.address, protocol, Some(&dialler), &acceptor);
    let (dialled, accepted) = tokio::join!(dial, accept(&accepting));
    Pair { dialled: dialled.unwrap(), accepted: accepted.unwrap(), dialling, accepting, relay }
}

/// Passes datagrams on between one client and a server.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    /// Drops what the client sends.
    pub(crate) drops_from_client: Arc<AtomicBool>,
    /// Drops what the server sends.
    pub(crate) drops_from_server: Arc<AtomicBool>,
    _task: JoinSet<()>,
}

impl Relay {
    async fn to(server: SocketAddr) -> Self {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = front.local_addr().unwrap();
        let [drops_from_client, drops_from_server] = [(); 2].map(|()| Arc::<AtomicBool>::default());
        let mut task = JoinSet::new();
        task.spawn(relay(front, server, drops_from_client.clone(), drops_from_server.clone()));
        Self { address, drops_from_client, drops_from_server, _task: task }
    }
}

async fn relay(
    front: UdpSocket,
    server: SocketAddr,
    drops_from_client: Arc<AtomicBool>,
    drops_from_server: Arc<AtomicBool>,
) {
    let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (mut forth, mut home, mut client) = (vec![0; 65_536], vec![0; 65_536], None);
    loop {
        tokio::select! {
            Ok((length, address)) = front.recv_from(&mut forth) => {
                client = Some(address);
                if !drops_from_client.load(Ordering::Relaxed) {
                    let _ = back.send_to(&forth[..length], server).await;
                }
            }
            Ok(length) = back.recv(&mut home) => {
                if !drops_from_server.load(Ordering::Relaxed) {
                    let _ = front.send_to(&home[..length], client.unwrap()).await;
                }
            }
        }
    }
}
