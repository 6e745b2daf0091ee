//! A client that is written from the wire protocol's description alone: one connection, a stream for each
//! command.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::{ClientConfig, ConnectionError, Endpoint, IdleTimeout, TransportConfig, VarInt};
use serde_json::{Value, json};

use super::content::RawDownload;
use super::frame::RawFrame;
use super::stream::{RawResponse, RawStream, RawStreamError};
use super::tls::{self, Key};
use crate::deadline::{TIMEOUT, wait_within};
use crate::server::Server;

/// The settings of a connection before it is dialled.
#[derive(Debug)]
pub struct Dialer {
    address: SocketAddr,
    fingerprint: String,
    key: Option<Key>,
    alpn: Vec<u8>,
    transport: TransportConfig,
    endpoint: Option<Endpoint>,
}

/// A connection to a server.
#[derive(Debug, Clone)]
pub struct Client {
    connection: quinn::Connection,
    endpoint: Endpoint,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// The server closed it, with this code.
    Code(u64),
    /// The connection's idle timeout passed.
    TimedOut,
    /// Anything else.
    Other(ConnectionError),
}

impl Dialer {
    /// Dials a server with a new key and the settings that docs/protocol.md requires of a client.
    #[must_use]
    pub fn new(server: &Server) -> Self {
        Self::to_address(server.address(), server.fingerprint())
    }

    /// Dials an address where a server with this fingerprint is expected.
    #[must_use]
    pub fn to_address(address: SocketAddr, fingerprint: &str) -> Self {
        let mut transport = TransportConfig::default();
        transport
            .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(12_000))))
            .keep_alive_interval(Some(Duration::from_secs(3)))
            .max_concurrent_bidi_streams(8_u32.into())
            .max_concurrent_uni_streams(0_u32.into())
            .stream_receive_window((1024 * 1024_u32).into())
            // Enough for the content of more than seventeen streams that the client does not read.
            .receive_window((20 * 1024 * 1024_u32).into());
        Self {
            address,
            fingerprint: fingerprint.to_owned(),
            key: Some(Key::new()),
            alpn: b"quiver/1".to_vec(),
            transport,
            endpoint: None,
        }
    }

    /// Uses this key.
    #[must_use]
    pub fn key(mut self, key: &Key) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// Shows no certificate.
    #[must_use]
    pub fn without_certificate(mut self) -> Self {
        self.key = None;
        self
    }

    /// Dials another address, such as that of a [`UdpRelay`](crate::udp_relay::UdpRelay).
    #[must_use]
    pub fn via(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Expects a server with another fingerprint.
    #[must_use]
    pub fn fingerprint(mut self, fingerprint: &str) -> Self {
        fingerprint.clone_into(&mut self.fingerprint);
        self
    }

    /// Offers another protocol.
    #[must_use]
    pub fn alpn(mut self, alpn: &[u8]) -> Self {
        self.alpn = alpn.to_vec();
        self
    }

    /// Changes the settings of QUIC.
    #[must_use]
    pub fn transport(mut self, change: impl FnOnce(&mut TransportConfig)) -> Self {
        change(&mut self.transport);
        self
    }

    /// Uses the socket of other connections.
    #[must_use]
    pub fn endpoint(mut self, endpoint: &Endpoint) -> Self {
        self.endpoint = Some(endpoint.clone());
        self
    }

    /// Starts a handshake. It continues as long as both returned values are kept.
    ///
    /// # Panics
    /// If no socket can be bound.
    #[must_use]
    pub fn start_handshake(self) -> (Endpoint, quinn::Connecting) {
        let tls = tls::client_config(&self.fingerprint, self.key.as_ref(), &self.alpn);
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::new(self.transport));
        let endpoint = self.endpoint.unwrap_or_else(new_endpoint);
        let connecting = endpoint.connect_with(config, self.address, "quiver").unwrap();
        (endpoint, connecting)
    }

    /// Dials.
    ///
    /// # Errors
    /// The error of the handshake.
    ///
    /// # Panics
    /// If the handshake neither succeeds nor fails within [`TIMEOUT`].
    pub async fn connect(self) -> Result<Client, ConnectionError> {
        let (endpoint, connecting) = self.start_handshake();
        let connection = wait_within(TIMEOUT, "the handshake", connecting).await?;
        Ok(Client { connection, endpoint })
    }

    /// Dials and sends hello.
    ///
    /// # Panics
    /// If the reply is no welcome.
    pub async fn sign_in(self, name: &str) -> Client {
        let client = self.connect().await.unwrap();
        assert_eq!(client.hello(name).await.reply()["reply"], "welcome");
        client
    }
}

/// A socket for any number of connections.
///
/// # Panics
/// If none can be bound.
fn new_endpoint() -> Endpoint {
    Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap()
}

impl Client {
    /// Connects as a guest with a new key.
    ///
    /// # Panics
    /// If the server cannot be reached.
    pub async fn guest(server: &Server) -> Self {
        Dialer::new(server).connect().await.unwrap()
    }

    /// Signs in as a member with a new key.
    ///
    /// # Panics
    /// If the reply is no welcome.
    pub async fn member(server: &Server, name: &str) -> Self {
        Dialer::new(server).sign_in(name).await
    }

    /// The connection, for direct access.
    #[must_use]
    pub fn connection(&self) -> &quinn::Connection {
        &self.connection
    }

    /// The socket, for further connections.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// [`RawStreamError::Connection`].
    ///
    /// # Panics
    /// If the server allows no further stream within [`TIMEOUT`].
    pub async fn open(&self) -> Result<RawStream, RawStreamError> {
        let opened = wait_within(TIMEOUT, "a stream", self.connection.open_bi()).await;
        opened.map(RawStream::from).map_err(RawStreamError::Connection)
    }

    /// Sends bytes on a new stream, finishes it, and reads the response.
    ///
    /// # Errors
    /// [`RawStreamError`] if there is no response.
    pub async fn try_exchange(&self, bytes: &[u8]) -> Result<RawResponse, RawStreamError> {
        let mut stream = self.open().await?;
        match stream.write(bytes).await {
            // The server has read enough: its response says why.
            Ok(()) | Err(RawStreamError::Stopped(_)) => stream.finish(),
            Err(broken) => return Err(broken),
        }
        wait_within(TIMEOUT, "a response", stream.read_response()).await
    }

    /// Sends bytes on a new stream, finishes it, and returns the response.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn exchange(&self, bytes: &[u8]) -> RawResponse {
        self.try_exchange(bytes).await.expect("a response")
    }

    /// Sends a request and reads the response.
    ///
    /// # Errors
    /// [`RawStreamError`] if there is no response.
    pub async fn try_request(&self, request: Value) -> Result<RawResponse, RawStreamError> {
        self.try_exchange(&RawFrame::request(&request).encode()).await
    }

    /// Sends a request and returns the response.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn request(&self, request: Value) -> RawResponse {
        self.try_request(request).await.expect("a response")
    }

    /// Sends hello without a password.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn hello(&self, name: &str) -> RawResponse {
        self.exchange(&RawFrame::hello(name).encode()).await
    }

    /// Sends hello with a password.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn sign_in(&self, name: &str, password: &str) -> RawResponse {
        let hello = json!({"command": "hello", "version": 1, "name": name, "password": password});
        self.request(hello).await
    }

    /// Sends a message, and returns the server's text.
    ///
    /// # Panics
    /// If it is not acknowledged.
    pub async fn message(&self, text: &str) -> String {
        let response = self.request(json!({"command": "message", "text": text})).await;
        response.reply()["text"].as_str().expect("a text").to_owned()
    }

    /// The rows of the status.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn status(&self) -> Vec<Value> {
        let response = self.request(json!({"command": "status"})).await;
        response.eof();
        response.replies
    }

    /// Lists a folder.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn list(&self, path: &str) -> RawResponse {
        self.request(json!({"command": "list", "path": path})).await
    }

    /// Requests a file.
    ///
    /// # Errors
    /// The [`RawResponse`] if it is refused.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn get(&self, path: &str) -> Result<RawDownload, RawResponse> {
        let mut stream = self.open().await.unwrap();
        let request = RawFrame::request(&json!({"command": "get", "path": path}));
        stream.write_frame(&request).await.unwrap();
        stream.read_head().await
    }

    /// The code a get is refused with; `""` if the whole file is received and acknowledged.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn get_code(&self, path: &str) -> String {
        match self.get(path).await {
            Err(response) => response.code().to_owned(),
            Ok(download) => match download.finish().await {
                Err(response) => response.code().to_owned(),
                Ok(content) => {
                    content.acknowledge().await;
                    String::new()
                }
            },
        }
    }

    /// Checks that the connection works and the server responds to a message.
    ///
    /// # Panics
    /// If it does not.
    pub async fn assert_alive(&self) {
        assert_eq!(self.message("are you there?").await, "are you there? ACK");
    }

    /// Waits until the server closes the connection.
    ///
    /// # Panics
    /// If it does not within [`TIMEOUT`].
    pub async fn wait_for_close(&self) -> CloseReason {
        self.wait_for_close_within(TIMEOUT).await
    }

    /// [`wait_for_close`](Self::wait_for_close) with a timeout of its own.
    ///
    /// # Panics
    /// If it does not within `limit`.
    pub async fn wait_for_close_within(&self, limit: Duration) -> CloseReason {
        match wait_within(limit, "the end of the connection", self.connection.closed()).await {
            ConnectionError::ApplicationClosed(closed) => {
                CloseReason::Code(closed.error_code.into_inner())
            }
            ConnectionError::TimedOut => CloseReason::TimedOut,
            other => CloseReason::Other(other),
        }
    }

    /// Closes the connection without a command.
    pub async fn close(self) {
        self.connection.close(0_u32.into(), b"");
        // The close frame must be sent before the socket is dropped.
        wait_within(TIMEOUT, "the last packet", self.endpoint.wait_idle()).await;
    }
}
