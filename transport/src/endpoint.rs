//! Sockets that speak QUIC: each dials, accepts, or does both, and its connections have the settings of their
//! role. Every number says what it costs. What each role may use is in `role`.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use quinn::{
    ClientConfig, Connection, EndpointConfig, IdleTimeout, Incoming, ServerConfig, TokioRuntime,
    TransportConfig, VarInt,
};
use quinn_proto::RandomConnectionIdGenerator;
use quiver_protocol::CloseCode;
use socket2::{Domain, Socket, Type};
use thiserror::Error;

use crate::alpn::Protocol;
use crate::close::ConnectionEnd;
use crate::congestion::CloseAwareCongestion;
use crate::handshake::Handshake;
use crate::identity::Identity;
use crate::path_mtu::{self, PathMtu};
use crate::role::RoleLimits;
use crate::socket::BatchSocket;
use crate::tls::{self, TlsError};
use crate::trust::{ServerVerifier, TrustError};
use crate::unix;

/// Idle timeout of a connection. QUIC counts from the first packet that was sent after the last one that was
/// received (RFC 9000, 10.1), at the latest a keep-alive: so a killed client's slot is free after this and
/// `KEEP_ALIVE`, 14 s. Longer than the 10 s that a server gives a handshake and a hello, so that those timeouts
/// are reported by their own names.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(11);

/// Both sides send a packet at least this often: three chances within the idle timeout, and often enough to keep a
/// NAT's mapping.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// Round-trip time of a path before it is measured: lost first packets are repeated after about three times as
/// much. RFC 9002 (6.2.2) suggests 333 ms, which costs a second there.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Kernel socket buffers, asked for in bytes; the system may give less. Smaller ones lose packets
/// on loopback.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// Handshakes that wait for the accept loop, which takes them at once, so that few ever wait. One beyond this is
/// refused.
const WAITING_HANDSHAKES: usize = 1024;

/// Bytes that early packets of waiting handshakes may hold: of each, and of all together.
const HANDSHAKE_BUFFER: u64 = 16 * 1024;
const HANDSHAKE_BUFFERS: u64 = 4 * 1024 * 1024;

/// Bytes of a server's connection ids, all of them random.
const CONNECTION_ID: usize = 8;

/// The server name in the TLS handshake. Certificates are known by fingerprint, so one name serves for all, and an
/// observer does not learn which host is meant.
const SERVER_NAME: &str = "quiver";

/// A UDP socket that speaks QUIC. Cheap to clone: clones share the socket.
#[derive(Debug, Clone)]
pub struct Endpoint {
    inner: quinn::Endpoint,
    congestion: Arc<CloseAwareCongestion>,
    /// How connections are accepted; `None` while none are.
    accepting: Arc<RwLock<Option<AcceptConfig>>>,
}

/// How an endpoint accepts connections.
#[derive(Debug, Clone)]
struct AcceptConfig {
    protocols: Arc<[Protocol]>,
    /// All settings but those that depend on the path.
    config: ServerConfig,
}

/// An endpoint could not be made.
#[derive(Debug, Error)]
pub enum EndpointError {
    /// The socket could not be opened or bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The identity is not fit for TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl EndpointError {
    /// Whether the address is one of IPv6, which this system has not.
    #[must_use]
    pub fn is_ipv6_unavailable(&self) -> bool {
        match self {
            Self::Bind { address, source } => address.is_ipv6() && unix::has_no_address(source),
            Self::Tls(_) => false,
        }
    }
}

/// A server could not be reached.
#[derive(Debug, Error)]
pub enum DialError {
    /// Its certificate was not believed. Nothing was said to it.
    #[error(transparent)]
    Trust(TrustError),
    /// No connection came about.
    #[error(transparent)]
    Ended(ConnectionEnd),
    /// The address can never be one of a server.
    #[error("cannot dial: {0}")]
    Address(String),
    /// The protocol requires a certificate, and there is no identity to show one of.
    #[error("this protocol requires a certificate")]
    NoCertificate,
    /// The identity is not fit for TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Endpoint {
    /// Opens a socket that accepts connections of these protocols. It can dial too. An IPv6 wildcard address
    /// accepts IPv4 too.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn listen(
        address: SocketAddr,
        identity: &Identity,
        protocols: &[Protocol],
    ) -> Result<Self, EndpointError> {
        let accepting = AcceptConfig::new(identity, protocols)?;
        Self::open(address, outlives_restarts(identity)?, Some(accepting))
    }

    /// Opens a socket that only dials, at a port of the system's choice. It can start to accept later:
    /// [`start_accepting`](Self::start_accepting).
    ///
    /// # Errors
    /// [`EndpointError::Bind`].
    pub fn dialler() -> Result<Self, EndpointError> {
        let open = |address| Self::open(address, EndpointConfig::default(), None);
        open((Ipv6Addr::UNSPECIFIED, 0).into())
            // Where there is no IPv6 at all.
            .or_else(|_| open((Ipv4Addr::UNSPECIFIED, 0).into()))
    }

    fn open(
        address: SocketAddr,
        mut config: EndpointConfig,
        accepting: Option<AcceptConfig>,
    ) -> Result<Self, EndpointError> {
        let failed = |source| EndpointError::Bind { address, source };
        config
            .max_udp_payload_size(path_mtu::MAX_PAYLOAD)
            .map_err(|error| failed(io::Error::other(error)))?;
        let socket = socket(address).map_err(failed)?;
        let socket = Arc::new(BatchSocket::new(socket, path_mtu::MAX_PAYLOAD).map_err(failed)?);
        let runtime = Arc::new(TokioRuntime);
        let congestion = Arc::<CloseAwareCongestion>::default();
        let server = accepting.as_ref().map(|it| it.server_config(PathMtu::UNKNOWN, &congestion));
        let inner = quinn::Endpoint::new_with_abstract_socket(config, server, socket, runtime)
            .map_err(failed)?;
        Ok(Self { inner, congestion, accepting: Arc::new(RwLock::new(accepting)) })
    }

    /// Accepts connections of these protocols from now on, whatever was accepted before. The socket dials as
    /// before. Each connection begins with a guest's limits, since QUIC settles them before TLS tells its protocol.
    ///
    /// A certificate is asked for, and where every protocol requires one, TLS refuses those that show none.
    ///
    /// # Errors
    /// [`TlsError`] where the identity is not fit for TLS, or there is no protocol.
    pub fn start_accepting(
        &self,
        identity: &Identity,
        protocols: &[Protocol],
    ) -> Result<(), TlsError> {
        let accepting = AcceptConfig::new(identity, protocols)?;
        let config = accepting.server_config(PathMtu::UNKNOWN, &self.congestion);
        let mut current = self.accepting.write();
        *current = Some(accepting);
        self.inner.set_server_config(Some(config));
        Ok(())
    }

    /// Dials a server or a peer, to speak `protocol`. The handshake is complete when this returns; whether the
    /// other side accepts this side's certificate is not yet known.
    ///
    /// # Errors
    /// [`DialError::Trust`] where `verifier` did not believe the other side, else what went wrong.
    pub async fn dial(
        &self,
        address: SocketAddr,
        protocol: Protocol,
        identity: Option<&Identity>,
        verifier: Arc<ServerVerifier>,
    ) -> Result<Connection, DialError> {
        if protocol.requires_certificate() && identity.is_none() {
            return Err(DialError::NoCertificate);
        }
        let crypto = tls::client(identity, verifier.clone(), protocol)?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        let path = PathMtu::to(address);
        let limits = protocol.dialled_role().limits(path.is_loopback());
        config.transport_config(Arc::new(transport(path, &limits, &self.congestion)));
        let connecting = self
            .inner
            .connect_with(config, self.reachable(address), SERVER_NAME)
            .map_err(|error| DialError::Address(error.to_string()))?;
        connecting.await.map_err(|error| match verifier.judgement() {
            Some(judgement) => DialError::Trust(judgement),
            None => DialError::Ended(error.into()),
        })
    }

    /// A dual-stack socket reaches IPv4 by mapped addresses (RFC 4291, 2.5.5.2).
    fn reachable(&self, address: SocketAddr) -> SocketAddr {
        match (self.inner.local_addr(), address) {
            (Ok(SocketAddr::V6(_)), SocketAddr::V4(v4)) => {
                (v4.ip().to_ipv6_mapped(), v4.port()).into()
            }
            _ => address,
        }
    }

    /// The next connection that another machine dials; `None` once the endpoint is closed.
    pub async fn accept(&self) -> Option<Incoming> {
        self.inner.accept().await
    }

    /// Begins the handshake of a connection that another machine dialled at this endpoint.
    ///
    /// # Errors
    /// What is wrong with its first packet; [`ConnectionEnd::ClosedLocally`] where this endpoint accepts no connections.
    pub fn start_handshake(&self, incoming: Incoming) -> Result<Handshake, ConnectionEnd> {
        let Some(accepting) = self.accepting.read().clone() else {
            incoming.refuse();
            return Err(ConnectionEnd::ClosedLocally);
        };
        let path = PathMtu::to(incoming.remote_address());
        let config = accepting.server_config(path, &self.congestion);
        let connecting = incoming.accept_with(Arc::new(config))?;
        Ok(Handshake::new(connecting, accepting.protocols))
    }

    /// Where the socket is bound.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// Closes every connection with a code, and the endpoint: it accepts and dials no more.
    pub fn close(&self, code: CloseCode) {
        self.congestion.open_all();
        self.inner.close(VarInt::from_u32(code as u32), code.reason().as_bytes());
    }

    /// Waits until the last packet of every connection is sent, for at most `timeout`.
    pub async fn wait_idle(&self, timeout: Duration) {
        // Either way the caller goes on.
        let _ = tokio::time::timeout(timeout, self.inner.wait_idle()).await;
    }
}

impl AcceptConfig {
    fn new(identity: &Identity, protocols: &[Protocol]) -> Result<Self, TlsError> {
        let mut config = ServerConfig::with_crypto(Arc::new(tls::server(identity, protocols)?));
        config
            .max_incoming(WAITING_HANDSHAKES)
            .incoming_buffer_size(HANDSHAKE_BUFFER)
            .incoming_buffer_size_total(HANDSHAKE_BUFFERS);
        Ok(Self { protocols: protocols.into(), config })
    }

    /// What a connection over such a path is accepted with.
    fn server_config(&self, path: PathMtu, congestion: &Arc<CloseAwareCongestion>) -> ServerConfig {
        let limits = Protocol::guest_limits(&self.protocols, path.is_loopback());
        let mut config = self.config.clone();
        config.transport_config(Arc::new(transport(path, &limits, congestion)));
        config
    }
}

fn transport(
    path: PathMtu,
    limits: &RoleLimits,
    congestion: &Arc<CloseAwareCongestion>,
) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(IdleTimeout::from(
            VarInt::from_u32(IDLE_TIMEOUT.as_millis() as u32),
        )))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(INITIAL_RTT)
        .mtu_discovery_config(Some(path.mtu_discovery()))
        .enable_segmentation_offload(path.takes_batches())
        .congestion_controller_factory(congestion.clone());
    limits.configure(&mut config);
    config
}

/// Lets a server that is started again with the same identity answer packets of connections that it does not know
/// with a stateless reset (RFC 9000, 10.3), which their clients believe. It sends fifty a second at most, each
/// shorter than what it answers, and none for packets of fewer than 22 bytes: ours have 29 or more.
fn outlives_restarts(identity: &Identity) -> Result<EndpointConfig, TlsError> {
    let mut config = EndpointConfig::new(Arc::new(tls::reset_key(identity)?));
    // A client that was told the token of an id could end the connection that has it next, so no id may be used
    // again: of quinn's own there are 16 million. Nor would those of an earlier run be known as ours.
    config.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(CONNECTION_ID)));
    Ok(config)
}

fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket =
        Socket::new(Domain::for_address(address), Type::DGRAM, Some(socket2::Protocol::UDP))?;
    if let SocketAddr::V6(v6) = address {
        socket.set_only_v6(!v6.ip().is_unspecified())?;
    }
    // Less than asked for is slower, not wrong.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}
