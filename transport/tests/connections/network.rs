//! Identities, endpoints on loopback, and a relay between two of them that can drop datagrams.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quiver_transport::endpoint::DialError;
use quiver_transport::identity::Validity;
use quiver_transport::{
    AcceptedConnection, Connection, ConnectionEnd, Endpoint, EndpointSettings, Identity, Protocol,
    ServerVerifier,
};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A protocol between peers.
pub(crate) const PEER: Protocol = Protocol::peer_to_peer(b"test-peer/1");

/// How long a test waits for an event that must happen, on a machine under load.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Waits for an event that must happen.
pub(crate) async fn within_timeout<F: Future>(future: F) -> F::Output {
    timeout(TIMEOUT, future).await.unwrap()
}

pub(crate) fn identity(name: &str) -> Identity {
    Identity::create(name, &[], Validity::days(chrono::Utc::now(), 1)).unwrap()
}

/// An endpoint on 127.0.0.1 that accepts these protocols.
pub(crate) fn listener(identity: &Identity, protocols: &[Protocol]) -> Endpoint {
    Endpoint::listen(
        (Ipv4Addr::LOCALHOST, 0).into(),
        identity,
        protocols,
        EndpointSettings::default(),
    )
    .unwrap()
}

/// The address of an endpoint over IPv4.
pub(crate) fn address(endpoint: &Endpoint) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, endpoint.local_addr().unwrap().port()).into()
}

/// Accepts the next connection that another endpoint dials.
pub(crate) async fn accept(endpoint: &Endpoint) -> Result<AcceptedConnection, ConnectionEnd> {
    let incoming = within_timeout(endpoint.accept()).await.unwrap();
    within_timeout(endpoint.start_handshake(incoming).unwrap().complete()).await
}

/// Dials, and expects the key of `other`.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    address: SocketAddr,
    protocol: Protocol,
    identity: Option<&Identity>,
    other: &Identity,
) -> Result<Connection, DialError> {
    let verifier = ServerVerifier::new(Some(other.fingerprint()));
    within_timeout(endpoint.dial(address, protocol, identity, verifier)).await
}

/// Two connected endpoints, and the relay between them.
pub(crate) struct ConnectedPair {
    pub(crate) dialled: Connection,
    /// The other end, still a guest.
    pub(crate) accepted: AcceptedConnection,
    pub(crate) dialling: Endpoint,
    pub(crate) accepting: Endpoint,
    pub(crate) relay: Relay,
}

/// Connects two endpoints over a relay with `protocol`.
pub(crate) async fn connect_pair(protocol: Protocol) -> ConnectedPair {
    let [dialler, acceptor] = ["dialler", "acceptor"].map(identity);
    let (dialling, accepting) =
        (Endpoint::dialler(EndpointSettings::default()).unwrap(), listener(&acceptor, &[protocol]));
    let relay = Relay::start(address(&accepting)).await;
    let dial = dial(&dialling, relay.address, protocol, Some(&dialler), &acceptor);
    let (dialled, accepted) = tokio::join!(dial, accept(&accepting));
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
    ConnectedPair { dialled, accepted, dialling, accepting, relay }
}

/// Forwards datagrams between one client and a server.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    /// Whether to drop the client's datagrams.
    pub(crate) drops_from_client: Arc<AtomicBool>,
    /// Whether to drop the server's datagrams.
    pub(crate) drops_from_server: Arc<AtomicBool>,
    _task: JoinSet<()>,
}

impl Relay {
    async fn start(server: SocketAddr) -> Self {
        let client_side = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = client_side.local_addr().unwrap();
        let [drops_from_client, drops_from_server] = [(); 2].map(|()| Arc::<AtomicBool>::default());
        let mut task = JoinSet::new();
        task.spawn(forward(
            client_side,
            server,
            drops_from_client.clone(),
            drops_from_server.clone(),
        ));
        Self { address, drops_from_client, drops_from_server, _task: task }
    }
}

async fn forward(
    client_side: UdpSocket,
    server: SocketAddr,
    drops_from_client: Arc<AtomicBool>,
    drops_from_server: Arc<AtomicBool>,
) {
    let server_side = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (mut from_client, mut from_server) = (vec![0; 65_536], vec![0; 65_536]);
    let mut client = None;
    loop {
        tokio::select! {
            Ok((length, address)) = client_side.recv_from(&mut from_client) => {
                client = Some(address);
                if !drops_from_client.load(Ordering::Relaxed) {
                    let _ = server_side.send_to(&from_client[..length], server).await;
                }
            }
            Ok(length) = server_side.recv(&mut from_server) => {
                if !drops_from_server.load(Ordering::Relaxed) {
                    let _ = client_side.send_to(&from_server[..length], client.unwrap()).await;
                }
            }
        }
    }
}
