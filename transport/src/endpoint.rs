//! Sockets that speak QUIC, dial and accept connections, and give them the settings of their role.
//! Every number states its cost. The limits of each role are in `role`.

mod error;
mod peer;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use quinn::{
    AsyncUdpSocket, ClientConfig, Connection, ConnectionId, EndpointConfig, IdleTimeout, Incoming,
    ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use quinn_proto::RandomConnectionIdGenerator;
use quiver_protocol::CloseCode;
use socket2::{Domain, Socket, Type};

pub use self::error::{DialError, EndpointError};
pub use self::peer::DialId;
use crate::alpn::Protocol;
use crate::close::ConnectionEnd;
use crate::congestion::{CongestionControl, Controllers};
use crate::handshake::Handshake;
use crate::identity::Identity;
use crate::path_mtu::{self, PathMtu};
use crate::quiet_socket::QuietFilter;
use crate::role::RoleLimits;
use crate::socket::BatchSocket;
use crate::tls::{self, TlsError};
use crate::trust::ServerVerifier;
use crate::windows::WindowPolicy;

/// Idle timeout of a connection. QUIC counts from the first packet that was sent after the last
/// received one (RFC 9000, 10.1), which is a keep-alive at the latest: so the slot of a killed
/// client is free after this timeout and `KEEP_ALIVE`, 14 s. Longer than the server's timeouts of
/// 10 s for a handshake and a hello, so that those are reported under their own names.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(11);

/// Both sides send a packet at least this often: three times within the idle timeout, and often
/// enough to keep the mapping of a NAT.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// Assumed round-trip time of a path before it is measured: a lost first packet is sent again after
/// about three times as long. RFC 9002 (6.2.2) suggests 333 ms, with which a lost first packet
/// costs a second.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Requested size of the kernel's socket buffers in bytes; the system may grant less. Smaller
/// buffers lose packets on loopback.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// Handshakes that may wait for the accept loop; it is fast, so few wait. Further ones are refused.
const WAITING_HANDSHAKES: usize = 1024;

/// Bytes of early packets that each waiting handshake may buffer, and all of them together.
const HANDSHAKE_BUFFER: u64 = 16 * 1024;
const ALL_HANDSHAKE_BUFFERS: u64 = 4 * 1024 * 1024;

/// Bytes of a server's connection ids, all of them random.
const CONNECTION_ID_LENGTH: usize = 8;

/// The server name in the TLS handshake. Certificates are identified by fingerprint, so all servers
/// share one name, and an observer does not learn the host's name.
const SERVER_NAME: &str = "quiver";

/// A UDP socket that speaks QUIC. Cheap to clone: clones share the socket.
#[derive(Debug, Clone)]
pub struct Endpoint {
    inner: quinn::Endpoint,
    settings: EndpointSettings,
    controllers: Controllers,
    /// `None` while the endpoint accepts no connections.
    accept_config: Arc<RwLock<Option<AcceptConfig>>>,
    /// The path of all connections; `None` if each address has its own.
    only_path: Option<PathMtu>,
    /// What the socket drops; `None` if it drops nothing.
    filter: Option<QuietFilter>,
}

/// What all connections of an endpoint have in common.
#[derive(Debug, Clone, Default)]
pub struct EndpointSettings {
    /// The congestion control of what this side sends.
    pub congestion: CongestionControl,
    /// How large the windows of its connections may become.
    pub windows: WindowPolicy,
}

/// How an endpoint accepts connections.
#[derive(Debug, Clone)]
struct AcceptConfig {
    protocols: Arc<[Protocol]>,
    /// All settings except those that depend on the path.
    base_config: ServerConfig,
}

impl Endpoint {
    /// Opens a socket that accepts connections of these protocols and can dial too. An IPv6
    /// wildcard address also accepts IPv4.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn listen(
        address: SocketAddr,
        identity: &Identity,
        protocols: &[Protocol],
        settings: EndpointSettings,
    ) -> Result<Self, EndpointError> {
        let accept_config = AcceptConfig::new(identity, protocols)?;
        let config = config_with_reset_key(identity)?;
        Self::open(address, config, settings, Some(accept_config), |socket| Arc::new(socket))
    }

    /// Opens a socket that only dials, on a port that the system chooses. It can accept connections
    /// after [`start_accepting`](Self::start_accepting). The socket answers no packet of an unknown sender
    /// by itself: until then it drops their first packets, and afterwards the caller decides about each
    /// when it accepts a connection.
    ///
    /// # Errors
    /// [`EndpointError::Bind`].
    pub fn dialler(settings: EndpointSettings) -> Result<Self, EndpointError> {
        let filter = QuietFilter::new();
        let open = |address| {
            let config = filter.config();
            Self::open(address, config, settings.clone(), None, |socket| filter.wrap(socket))
        };
        let endpoint = open((Ipv6Addr::UNSPECIFIED, 0).into())
            // For systems without IPv6.
            .or_else(|_| open((Ipv4Addr::UNSPECIFIED, 0).into()))?;
        Ok(Self { filter: Some(filter), ..endpoint })
    }

    /// Makes all paths of this endpoint those of a network, also on loopback.
    #[cfg(test)]
    pub(crate) fn treating_paths_as_networks(self) -> Self {
        Self { only_path: Some(PathMtu::UNKNOWN), ..self }
    }

    fn open(
        address: SocketAddr,
        mut config: EndpointConfig,
        settings: EndpointSettings,
        accept_config: Option<AcceptConfig>,
        wrap: impl FnOnce(BatchSocket) -> Arc<dyn AsyncUdpSocket>,
    ) -> Result<Self, EndpointError> {
        let failed = |source| EndpointError::Bind { address, source };
        let socket = socket(address).map_err(failed)?;
        let socket = BatchSocket::new(socket, path_mtu::MAX_PAYLOAD).map_err(failed)?;
        config
            .max_udp_payload_size(path_mtu::MAX_PAYLOAD)
            .map_err(|error| failed(io::Error::other(error)))?;
        Self::with_socket(config, settings, wrap(socket), accept_config, None).map_err(failed)
    }

    /// `only_path` is the path of all connections, if there is only one.
    fn with_socket(
        config: EndpointConfig,
        settings: EndpointSettings,
        socket: Arc<dyn AsyncUdpSocket>,
        accept_config: Option<AcceptConfig>,
        only_path: Option<PathMtu>,
    ) -> io::Result<Self> {
        let controllers = Controllers::new(settings.congestion);
        let path = only_path.unwrap_or(PathMtu::UNKNOWN);
        let server_config =
            accept_config.as_ref().map(|accepting| accepting.server_config(path, &controllers));
        let runtime = Arc::new(TokioRuntime);
        let inner =
            quinn::Endpoint::new_with_abstract_socket(config, server_config, socket, runtime)?;
        let accept_config = Arc::new(RwLock::new(accept_config));
        Ok(Self { inner, settings, controllers, accept_config, only_path, filter: None })
    }

    /// Accepts connections of these protocols from now on, and of no others. The socket can still
    /// dial. Each connection starts with a guest's limits, because QUIC fixes them before TLS has
    /// negotiated the protocol.
    ///
    /// TLS asks for a certificate, and refuses clients without one if every protocol requires it.
    ///
    /// # Errors
    /// [`TlsError`] if TLS cannot use the identity, or `protocols` is empty.
    pub fn start_accepting(
        &self,
        identity: &Identity,
        protocols: &[Protocol],
    ) -> Result<(), TlsError> {
        let accept_config = AcceptConfig::new(identity, protocols)?;
        let server_config = accept_config.server_config(PathMtu::UNKNOWN, &self.controllers);
        let mut current = self.accept_config.write();
        *current = Some(accept_config);
        self.inner.set_server_config(Some(server_config));
        if let Some(filter) = &self.filter {
            filter.admit_connections();
        }
        Ok(())
    }

    /// Dials a server or a peer, and completes the handshake for `protocol`. When this returns, it
    /// is not yet known whether the other side accepts this side's certificate.
    ///
    /// # Errors
    /// [`DialError`]; [`DialError::Trust`] if `verifier` rejected the other side's certificate.
    pub async fn dial(
        &self,
        address: SocketAddr,
        protocol: Protocol,
        identity: Option<&Identity>,
        verifier: Arc<ServerVerifier>,
    ) -> Result<Connection, DialError> {
        self.dial_with(address, protocol, identity, verifier, None).await
    }

    /// Dials with a chosen connection id in the first packet; `None` chooses a random one.
    async fn dial_with(
        &self,
        address: SocketAddr,
        protocol: Protocol,
        identity: Option<&Identity>,
        verifier: Arc<ServerVerifier>,
        first_id: Option<DialId>,
    ) -> Result<Connection, DialError> {
        if protocol.requires_certificate() && identity.is_none() {
            return Err(DialError::NoCertificate);
        }
        let crypto = tls::client(identity, verifier.clone(), protocol)?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        if let Some(DialId(id)) = first_id {
            config.initial_dst_cid_provider(Arc::new(move || ConnectionId::new(&id)));
        }
        let path = self.path_to(address);
        let limits = protocol.dialled_role().limits(path.is_loopback());
        let limits = limits.bound_stream_window(self.settings.windows.largest_window());
        config.transport_config(Arc::new(transport_config(path, &limits, &self.controllers)));
        let connecting = self
            .inner
            .connect_with(config, self.mapped_address(address), SERVER_NAME)
            .map_err(|error| DialError::Address(error.to_string()))?;
        connecting.await.map_err(|error| match verifier.rejection() {
            Some(rejection) => DialError::Trust(rejection),
            None => DialError::Ended(error.into()),
        })
    }

    fn path_to(&self, address: SocketAddr) -> PathMtu {
        self.only_path.unwrap_or_else(|| PathMtu::query(address))
    }

    /// The form of an address that this socket can dial: a dual-stack socket needs IPv4 addresses
    /// in mapped form (RFC 4291, 2.5.5.2).
    fn mapped_address(&self, address: SocketAddr) -> SocketAddr {
        match (self.inner.local_addr(), address) {
            (Ok(SocketAddr::V6(_)), SocketAddr::V4(v4)) => {
                (v4.ip().to_ipv6_mapped(), v4.port()).into()
            }
            _ => address,
        }
    }

    /// Waits for the next connection from another machine; `None` once the endpoint is closed.
    pub async fn accept(&self) -> Option<Incoming> {
        self.inner.accept().await
    }

    /// Starts the handshake of a connection that another machine dialled.
    ///
    /// # Errors
    /// [`ConnectionEnd`] if its first packet is invalid; [`ConnectionEnd::ClosedLocally`] if this
    /// endpoint accepts no connections.
    pub fn start_handshake(&self, incoming: Incoming) -> Result<Handshake, ConnectionEnd> {
        let Some(accept_config) = self.accept_config.read().clone() else {
            incoming.refuse();
            return Err(ConnectionEnd::ClosedLocally);
        };
        let path = self.path_to(incoming.remote_address());
        let server_config = accept_config.server_config(path, &self.controllers);
        let connecting = incoming.accept_with(Arc::new(server_config))?;
        Ok(Handshake::new(connecting, accept_config.protocols, self.settings.windows.clone()))
    }

    /// The settings with which the endpoint was opened.
    #[must_use]
    pub fn settings(&self) -> &EndpointSettings {
        &self.settings
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    /// The system's error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// Closes every connection with a code, and the endpoint, which then accepts and dials no more.
    pub fn close(&self, code: CloseCode) {
        self.controllers.remove_all_limits();
        self.inner.close(VarInt::from_u32(code as u32), code.reason().as_bytes());
    }

    /// Waits until every connection has sent its last packet, for at most `timeout`.
    pub async fn wait_idle(&self, timeout: Duration) {
        // After the timeout the caller does not wait for the remaining packets.
        let _ = tokio::time::timeout(timeout, self.inner.wait_idle()).await;
    }
}

impl AcceptConfig {
    fn new(identity: &Identity, protocols: &[Protocol]) -> Result<Self, TlsError> {
        let crypto = tls::server(identity, protocols)?;
        let mut base_config = ServerConfig::with_crypto(Arc::new(crypto));
        base_config
            .max_incoming(WAITING_HANDSHAKES)
            .incoming_buffer_size(HANDSHAKE_BUFFER)
            .incoming_buffer_size_total(ALL_HANDSHAKE_BUFFERS);
        Ok(Self { protocols: protocols.into(), base_config })
    }

    /// The settings with which a connection over this path is accepted.
    fn server_config(&self, path: PathMtu, controllers: &Controllers) -> ServerConfig {
        let limits = Protocol::guest_limits(&self.protocols, path.is_loopback());
        let mut config = self.base_config.clone();
        config.transport_config(Arc::new(transport_config(path, &limits, controllers)));
        config
    }
}

fn transport_config(
    path: PathMtu,
    limits: &RoleLimits,
    controllers: &Controllers,
) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(IdleTimeout::from(
            VarInt::from_u32(IDLE_TIMEOUT.as_millis() as u32),
        )))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(INITIAL_RTT)
        .mtu_discovery_config(Some(path.mtu_discovery()))
        .enable_segmentation_offload(path.accepts_batches())
        .congestion_controller_factory(controllers.for_path(path.can_lose_packets()));
    limits.configure(&mut config);
    config
}

/// The endpoint settings of a server that, after a restart with the same identity, answers packets
/// of unknown connections with a stateless reset (RFC 9000, 10.3) that their clients accept. It
/// sends at most fifty a second, each shorter than the packet that it answers, and none for packets
/// of fewer than 22 bytes: Quiver's packets have 29 or more.
fn config_with_reset_key(identity: &Identity) -> Result<EndpointConfig, TlsError> {
    let mut config = EndpointConfig::new(Arc::new(tls::reset_key(identity)?));
    // A client that has learned the token of an id could end the next connection with that id, so
    // no id may be used again. quinn's own generator has only 16 million ids, and does not
    // recognise those of an earlier run as its own.
    config.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(CONNECTION_ID_LENGTH)));
    Ok(config)
}

fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket =
        Socket::new(Domain::for_address(address), Type::DGRAM, Some(socket2::Protocol::UDP))?;
    if let SocketAddr::V6(v6) = address {
        socket.set_only_v6(!v6.ip().is_unspecified())?;
    }
    // Smaller buffers are slower, and no error.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}
