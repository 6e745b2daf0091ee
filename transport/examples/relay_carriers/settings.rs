//! The settings of all connections of this measurement: those of `transport/src/endpoint.rs` with
//! the limits of the roles, for the outer connections and for the relayed one.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, MtuDiscoveryConfig, ServerConfig,
    TokioRuntime, TransportConfig,
};
use quiver_transport::{Role, ServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls_pki_types::PrivatePkcs8KeyDer;

use crate::Failure;
use crate::carrier::{Carrier, RelaySettings};
use crate::relay_socket::CarrierSocket;

/// Protocols of a member's connection, of a connection for datagrams, and of the relayed one.
pub(crate) const MEMBER: &[u8] = b"member";
pub(crate) const DATAGRAMS: &[u8] = b"datagrams";
pub(crate) const PEER: &[u8] = b"peer";

/// The largest UDP payload of the outer connections.
const OUTER_PAYLOAD: u16 = 1452;

/// Bytes of received datagrams that QUIC keeps, and of datagrams that wait in the server and in a
/// client.
const DATAGRAM_RECEIVE_BUFFER: usize = 256 * 1024;
const SERVER_DATAGRAM_BUFFER: usize = 256 * 1024;
const CLIENT_DATAGRAM_BUFFER: usize = 64 * 1024;

const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// The server's socket. It accepts connections for members and for datagrams.
pub(crate) fn server(address: SocketAddr) -> Result<Endpoint, Failure> {
    let transport = outer_transport(Role::Member, SERVER_DATAGRAM_BUFFER);
    let config = server_config(&[MEMBER, DATAGRAMS], transport)?;
    Ok(Endpoint::new(
        EndpointConfig::default(),
        Some(config),
        bind(address)?,
        Arc::new(TokioRuntime),
    )?)
}

/// A client's socket for its connections to the server.
pub(crate) fn client() -> Result<Endpoint, Failure> {
    let socket = bind(([127, 0, 0, 1], 0).into())?;
    Ok(Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime))?)
}

/// Dials the server from a client's socket.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    server: SocketAddr,
    alpn: &[u8],
) -> Result<Connection, Failure> {
    let config = client_config(alpn, outer_transport(Role::Client, CLIENT_DATAGRAM_BUFFER))?;
    Ok(endpoint.connect_with(config, server, "quiver")?.await?)
}

/// The endpoint of the relayed connection, over the carrier.
pub(crate) fn peer(socket: CarrierSocket, relay: &RelaySettings) -> Result<Endpoint, Failure> {
    let mut config = EndpointConfig::default();
    config.max_udp_payload_size(relay.inner_payload)?;
    let server_config = server_config(&[PEER], peer_transport(relay))?;
    let runtime = Arc::new(TokioRuntime);
    let socket = Arc::new(socket);
    Ok(Endpoint::new_with_abstract_socket(config, Some(server_config), socket, runtime)?)
}

/// Dials the peer.
pub(crate) async fn dial_peer(
    endpoint: &Endpoint,
    relay: &RelaySettings,
) -> Result<Connection, Failure> {
    let config = client_config(PEER, peer_transport(relay))?;
    Ok(endpoint.connect_with(config, CarrierSocket::PEER_ADDRESS, "quiver")?.await?)
}

fn outer_transport(role: Role, datagram_buffer: usize) -> TransportConfig {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(OUTER_PAYLOAD);
    let mut config = transport(role);
    config
        .mtu_discovery_config(Some(mtu))
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BUFFER))
        .datagram_send_buffer_size(datagram_buffer);
    config
}

fn peer_transport(relay: &RelaySettings) -> TransportConfig {
    let mut config = transport(Role::Peer);
    // The carrier accepts packets of this size, so there is nothing to discover. Without the
    // minimum, quinn takes lost packets for a path that no longer carries their size.
    config.mtu_discovery_config(None).initial_mtu(relay.inner_payload);
    if matches!(relay.carrier, Carrier::Stream { .. }) {
        config.min_mtu(relay.inner_payload);
    }
    // quinn's default of 12,000 bytes would not let a longer packet pass at all.
    let mut cubic = CubicConfig::default();
    cubic.initial_window(10 * u64::from(relay.inner_payload));
    config.congestion_controller_factory(Arc::new(cubic));
    if let Some(window) = relay.inner_window {
        config.send_window(window);
    }
    config
}

fn transport(role: Role) -> TransportConfig {
    let limits = role.limits(false);
    let mut config = TransportConfig::default();
    config
        .initial_rtt(Duration::from_millis(100))
        .keep_alive_interval(Some(Duration::from_secs(3)))
        .max_concurrent_bidi_streams(limits.bidirectional_streams.into())
        .stream_receive_window(limits.stream_window.into())
        .receive_window(limits.receive_window.into())
        .send_window(limits.send_window);
    config
}

fn server_config(alpn: &[&[u8]], transport: TransportConfig) -> Result<ServerConfig, Failure> {
    let identity = rcgen::generate_simple_self_signed(vec!["quiver".to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(identity.signing_key.serialize_der());
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.into()], key.into())?;
    config.alpn_protocols = alpn.iter().map(|alpn| alpn.to_vec()).collect();
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(config)?));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

fn client_config(alpn: &[u8], transport: TransportConfig) -> Result<ClientConfig, Failure> {
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(ServerVerifier::new(None))
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(config)?));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// AES with 128 bits first, as in `transport/src/crypto.rs`.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

fn bind(address: SocketAddr) -> Result<UdpSocket, Failure> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}
