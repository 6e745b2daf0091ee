//! Sockets and QUIC settings. Every number says what it costs; quinn's defaults are no server's budget.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{
    ClientConfig, Connecting, Connection, EndpointConfig, IdleTimeout, Incoming, ServerConfig,
    Side, TokioRuntime, TransportConfig, VarInt,
};
use quinn_proto::RandomConnectionIdGenerator;
use quiver_protocol::{CloseCode, limits};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use crate::close::Ended;
use crate::congestion::LastPacketPasses;
use crate::identity::Identity;
use crate::reach::{self, Reach};
use crate::socket::LongBatches;
use crate::tls::{self, TlsError};
use crate::trust::{ServerVerifier, TrustError};
use crate::unix;

/// A connection nobody hears from ends after this. QUIC counts from the first packet that was sent after the
/// last one that came (RFC 9000, 10.1), at the latest a keep-alive: so a killed client's slot is free
/// after this and `KEEP_ALIVE`, 14 s. Longer than the 10 s that a server gives a handshake and a hello: what
/// ends those is told by its own name.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(11);

/// Both sides make sure that something crosses the path this often: three chances within the idle
/// timeout, and often enough to keep a NAT's mapping.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// Until a path is measured, it is taken to be this long: lost first packets are repeated after
/// about three times as much. RFC 9002 (6.2.2) suggests 333 ms, which costs a second there.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Kernel socket buffers, asked for in bytes; the system may give less. Smaller ones lose packets
/// on loopback.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// What one stream may hold that was not read yet. Cannot change during a connection.
const STREAM_WINDOW: u32 = 1024 * 1024;

/// The same at a server whose client is on the same machine: enough where the way there and back is short, and a
/// put whose server is killed has less to send again.
const NEAR_STREAM_WINDOW: u32 = 448 * 1024;

/// The same at a client, which has few streams of content and reads them at full speed. Every eighth of
/// it is told to the server, in a packet of its own.
const CLIENT_STREAM_WINDOW: u32 = 2 * 1024 * 1024;

/// The same where the server is on the same machine: with the three blocks that may be taken and not yet written,
/// a kill of the client costs no more than the window of networks and a block.
const NEAR_CLIENT_STREAM_WINDOW: u32 = 1536 * 1024;

/// What a guest may send before it is read: a hello and its frames.
const GUEST_WINDOW: u32 = 64 * 1024;

/// What a member may send before it is read, all streams together: 2 MiB of requests, and the content of
/// puts, of which the server lets in at most 4 MiB at once (CONTENT_MEMORY in server/src/config.rs), so
/// that content never uses up what requests need.
const MEMBER_WINDOW: u32 = 6 * 1024 * 1024;

/// What a client may have on its way, unacknowledged.
const CLIENT_SEND_WINDOW: u64 = 2 * 1024 * 1024;

/// What may be on its way to a member, unacknowledged. Bounds memory, and how long a message waits
/// behind content: at 500 MB/s this much passes in two milliseconds.
const MEMBER_SEND_WINDOW: u64 = 1024 * 1024;

/// The same, at either side, where several streams carry content to one that is near: one of them is always
/// ready, so that less keeps the way full.
const SHARED_SEND_WINDOW: u64 = 384 * 1024;

/// A way there and back on one machine, or in one building, whatever its load.
const NEAR: Duration = Duration::from_millis(5);

/// Content streams a client reads at once; its connection window holds them all, full, and more.
pub const CLIENT_CONTENT_STREAMS: u32 = 8;

/// Streams a server may open to a client at once, for events.
const EVENT_STREAMS: u32 = 8;

/// Handshakes that have begun and are not yet looked at: the accept loop takes them at once, so few
/// ever wait, and one beyond this is refused.
const WAITING_HANDSHAKES: usize = 1024;

/// What early packets of waiting handshakes may hold, in bytes: each, and all together.
const HANDSHAKE_BUFFER: u64 = 16 * 1024;
const HANDSHAKE_BUFFERS: u64 = 4 * 1024 * 1024;

/// Bytes of a server's connection ids, all of them random.
const CONNECTION_ID: usize = 8;

/// The name in the TLS handshake. Certificates are known by fingerprint, so it says nothing, and
/// nobody on the way learns which host was meant.
const SERVER_NAME: &str = "quiver";

/// A UDP socket that speaks QUIC.
#[derive(Debug, Clone)]
pub struct Endpoint {
    inner: quinn::Endpoint,
    congestion: Arc<LastPacketPasses>,
    /// What clients are taken with, but for what depends on where they are; `None` where nobody is taken.
    server: Option<ServerConfig>,
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
    pub fn is_without_ipv6(&self) -> bool {
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
    Ended(Ended),
    /// The address can never be one of a server.
    #[error("cannot dial: {0}")]
    Address(String),
    /// The identity is not fit for TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Endpoint {
    /// Opens a socket that takes connections. An IPv6 wildcard address takes IPv4 too.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn listen(address: SocketAddr, identity: &Identity) -> Result<Self, EndpointError> {
        let congestion = Arc::new(LastPacketPasses::default());
        let mut config = ServerConfig::with_crypto(Arc::new(tls::server(identity)?));
        config
            .max_incoming(WAITING_HANDSHAKES)
            .incoming_buffer_size(HANDSHAKE_BUFFER)
            .incoming_buffer_size_total(HANDSHAKE_BUFFERS);
        let config = taking(&config, Reach::UNKNOWN, congestion.clone());
        let endpoint_config = outlives_restarts(identity)?;
        let mut endpoint = Self::open(address, endpoint_config, Some(config.clone()), congestion)?;
        endpoint.server = Some(config);
        Ok(endpoint)
    }

    /// Opens a socket that only dials, at a port of the system's choice.
    ///
    /// # Errors
    /// [`EndpointError::Bind`].
    pub fn dialler() -> Result<Self, EndpointError> {
        let open = |address| Self::open(address, EndpointConfig::default(), None, Arc::default());
        open((Ipv6Addr::UNSPECIFIED, 0).into())
            // Where there is no IPv6 at all.
            .or_else(|_| open((Ipv4Addr::UNSPECIFIED, 0).into()))
    }

    fn open(
        address: SocketAddr,
        mut config: EndpointConfig,
        server: Option<ServerConfig>,
        congestion: Arc<LastPacketPasses>,
    ) -> Result<Self, EndpointError> {
        let failed = |source| EndpointError::Bind { address, source };
        config
            .max_udp_payload_size(reach::LARGEST)
            .map_err(|error| failed(io::Error::other(error)))?;
        let socket = socket(address).map_err(failed)?;
        let socket = Arc::new(LongBatches::new(socket, reach::LARGEST).map_err(failed)?);
        let runtime = Arc::new(TokioRuntime);
        let inner = quinn::Endpoint::new_with_abstract_socket(config, server, socket, runtime)
            .map_err(failed)?;
        Ok(Self { inner, congestion, server: None })
    }

    /// Dials a server; the handshake is complete when this returns.
    ///
    /// # Errors
    /// [`DialError::Trust`] where `verifier` did not believe the server, else what went wrong.
    pub async fn dial(
        &self,
        address: SocketAddr,
        identity: Option<&Identity>,
        verifier: Arc<ServerVerifier>,
    ) -> Result<Connection, DialError> {
        let mut config = ClientConfig::new(Arc::new(tls::client(identity, verifier.clone())?));
        let mut transport = client_transport(Reach::to(address));
        transport.congestion_controller_factory(self.congestion.clone());
        config.transport_config(Arc::new(transport));
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

    /// The next client that knocks; `None` once the endpoint is closed.
    pub async fn accept(&self) -> Option<Incoming> {
        self.inner.accept().await
    }

    /// Begins the handshake with a client that knocked at this endpoint.
    ///
    /// # Errors
    /// What is wrong with its first packet.
    pub fn admit(&self, incoming: Incoming) -> Result<Connecting, Ended> {
        let connecting = match &self.server {
            Some(server) => {
                let reach = Reach::to(incoming.remote_address());
                incoming.accept_with(Arc::new(taking(server, reach, self.congestion.clone())))
            }
            None => incoming.accept(),
        };
        connecting.map_err(Ended::from)
    }

    /// Where the socket is bound.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// Closes every connection with a code, for good: nothing is opened or dialled after it.
    pub fn close(&self, code: CloseCode) {
        self.congestion.open_all();
        self.inner.close(VarInt::from_u32(code as u32), code.reason().as_bytes());
    }

    /// Waits until every connection's last word is said, `patience` at the longest.
    pub async fn wait_idle(&self, patience: Duration) {
        // The time is up or the endpoint is idle: nothing depends on which.
        let _ = tokio::time::timeout(patience, self.inner.wait_idle()).await;
    }
}

/// What a client from there is taken with.
fn taking(server: &ServerConfig, reach: Reach, congestion: Arc<LastPacketPasses>) -> ServerConfig {
    let mut transport = server_transport(reach);
    transport.congestion_controller_factory(congestion);
    let mut config = server.clone();
    config.transport_config(Arc::new(transport));
    config
}

/// A server that is started again with the same identity answers packets of connections that it knows nothing
/// of with a stateless reset (RFC 9000, 10.3), which their clients believe. It sends fifty a second at most,
/// each shorter than what it answers, and none for packets of fewer than 22 bytes: ours have 29 or more.
fn outlives_restarts(identity: &Identity) -> Result<EndpointConfig, TlsError> {
    let mut config = EndpointConfig::new(Arc::new(tls::reset_key(identity)?));
    // Whoever was told the token of an id could end the connection that has it next, so none may come again:
    // of quinn's own there are 16 million. Nor would those of an earlier run be known as ours.
    config.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(CONNECTION_ID)));
    Ok(config)
}

/// Gives a guest what a member may use.
pub fn promote(connection: &Connection) {
    connection.set_max_concurrent_bi_streams(limits::STREAMS.into());
    connection.set_receive_window(MEMBER_WINDOW.into());
    connection.set_send_window(MEMBER_SEND_WINDOW);
}

/// What may be on its way to the other side while so many streams carry content, in bytes.
pub(crate) fn send_window(connection: &Connection, streams: usize) -> u64 {
    match connection.side() {
        _ if streams > 1 && connection.rtt() < NEAR => SHARED_SEND_WINDOW,
        Side::Client => CLIENT_SEND_WINDOW,
        Side::Server => MEMBER_SEND_WINDOW,
    }
}

fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if let SocketAddr::V6(v6) = address {
        socket.set_only_v6(!v6.ip().is_unspecified())?;
    }
    // Less than asked for is slower, not wrong.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn common_transport(reach: Reach) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(IdleTimeout::from(
            VarInt::from_u32(IDLE_TIMEOUT.as_millis() as u32),
        )))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(INITIAL_RTT)
        .mtu_discovery_config(Some(reach.mtu_discovery()))
        .enable_segmentation_offload(reach.takes_batches())
        .max_concurrent_uni_streams(0_u32.into())
        .datagram_receive_buffer_size(None);
    config
}

/// What a guest may use; [`promote`] gives more.
fn server_transport(reach: Reach) -> TransportConfig {
    let mut config = common_transport(reach);
    let window = if reach.is_loopback() { NEAR_STREAM_WINDOW } else { STREAM_WINDOW };
    config
        .max_concurrent_bidi_streams(1_u32.into())
        .stream_receive_window(window.into())
        .receive_window(GUEST_WINDOW.into())
        .send_window(GUEST_WINDOW.into());
    config
}

fn client_transport(reach: Reach) -> TransportConfig {
    let mut config = common_transport(reach);
    let window = if reach.is_loopback() { NEAR_CLIENT_STREAM_WINDOW } else { CLIENT_STREAM_WINDOW };
    config
        .max_concurrent_bidi_streams(EVENT_STREAMS.into())
        // Content streams nobody reads fill their own windows and leave the rest to control streams.
        .stream_receive_window(window.into())
        .receive_window(((CLIENT_CONTENT_STREAMS + 1) * window).into())
        .send_window(CLIENT_SEND_WINDOW);
    config
}
