//! A client that knows nothing but the wire's description: one connection, a stream a command.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::{ClientConfig, ConnectionError, Endpoint, IdleTimeout, TransportConfig, VarInt};
use serde_json::{Value, json};

use super::content::Download;
use super::frame::RawFrame;
use super::stream::{Answer, Broken, Stream};
use super::tls::{self, Key};
use crate::deadline::{PATIENCE, within};
use crate::server::Server;

/// How a client dials.
#[derive(Debug)]
pub struct Dial {
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
pub enum Closed {
    /// The server closed it, with this code.
    Code(u64),
    /// The server was silent for too long.
    TimedOut,
    /// Anything else.
    Other(ConnectionError),
}

impl Dial {
    /// To a server, with a new key, and what the description asks a client to set.
    #[must_use]
    pub fn to(server: &Server) -> Self {
        Self::at(server.address(), server.fingerprint())
    }

    /// To whatever listens at an address and has this fingerprint.
    #[must_use]
    pub fn at(address: SocketAddr, fingerprint: &str) -> Self {
        let mut transport = TransportConfig::default();
        transport
            .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(12_000))))
            .keep_alive_interval(Some(Duration::from_secs(3)))
            .max_concurrent_bidi_streams(8_u32.into())
            .max_concurrent_uni_streams(0_u32.into())
            .stream_receive_window((1024 * 1024_u32).into())
            // Room for the content of seventeen streams that nobody reads, and more.
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

    /// With this key.
    #[must_use]
    pub fn key(mut self, key: &Key) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// Without a certificate.
    #[must_use]
    pub fn anonymous(mut self) -> Self {
        self.key = None;
        self
    }

    /// By another way, such as a [`Path`](crate::path::Path).
    #[must_use]
    pub fn by(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Expecting another server.
    #[must_use]
    pub fn expecting(mut self, fingerprint: &str) -> Self {
        fingerprint.clone_into(&mut self.fingerprint);
        self
    }

    /// Speaking another protocol.
    #[must_use]
    pub fn alpn(mut self, alpn: &[u8]) -> Self {
        self.alpn = alpn.to_vec();
        self
    }

    /// With other settings of QUIC.
    #[must_use]
    pub fn transport(mut self, change: impl FnOnce(&mut TransportConfig)) -> Self {
        change(&mut self.transport);
        self
    }

    /// Over a socket that others use too.
    #[must_use]
    pub fn over(mut self, endpoint: &Endpoint) -> Self {
        self.endpoint = Some(endpoint.clone());
        self
    }

    /// Begins a handshake, which goes on as long as what is returned here is held.
    ///
    /// # Panics
    /// Where no socket can be had.
    #[must_use]
    pub fn begin(self) -> (Endpoint, quinn::Connecting) {
        let tls = tls::client_config(&self.fingerprint, self.key.as_ref(), &self.alpn);
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::new(self.transport));
        let endpoint = self.endpoint.unwrap_or_else(socket);
        let connecting = endpoint.connect_with(config, self.address, "quiver").unwrap();
        (endpoint, connecting)
    }

    /// Dials.
    ///
    /// # Errors
    /// What became of the handshake.
    ///
    /// # Panics
    /// Where neither success nor failure comes.
    pub async fn connect(self) -> Result<Client, ConnectionError> {
        let (endpoint, connecting) = self.begin();
        let connection = within(PATIENCE, "the handshake", connecting).await?;
        Ok(Client { connection, endpoint })
    }

    /// Dials and says hello.
    ///
    /// # Panics
    /// Where there is no welcome.
    pub async fn join(self, name: &str) -> Client {
        let client = self.connect().await.unwrap();
        assert_eq!(client.hello(name).await.reply()["reply"], "welcome");
        client
    }
}

/// A socket for any number of connections.
///
/// # Panics
/// Where none can be had.
fn socket() -> Endpoint {
    Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap()
}

impl Client {
    /// A guest with a new key.
    ///
    /// # Panics
    /// Where the server cannot be reached.
    pub async fn guest(server: &Server) -> Self {
        Dial::to(server).connect().await.unwrap()
    }

    /// A member with a new key.
    ///
    /// # Panics
    /// Where there is no welcome.
    pub async fn member(server: &Server, name: &str) -> Self {
        Dial::to(server).join(name).await
    }

    /// The connection, for whatever a story wants to do to it.
    #[must_use]
    pub fn connection(&self) -> &quinn::Connection {
        &self.connection
    }

    /// The socket, for more connections.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// [`Broken::Connection`].
    ///
    /// # Panics
    /// Where the server allows none.
    pub async fn open(&self) -> Result<Stream, Broken> {
        let opened = within(PATIENCE, "a stream", self.connection.open_bi()).await;
        opened.map(Stream::from).map_err(Broken::Connection)
    }

    /// Says bytes on a stream of their own, finishes, and reads the answer.
    ///
    /// # Errors
    /// [`Broken`], where there is none.
    pub async fn try_say(&self, bytes: &[u8]) -> Result<Answer, Broken> {
        let mut stream = self.open().await?;
        match stream.write(bytes).await {
            // The server has read enough: its answer says why.
            Ok(()) | Err(Broken::Stopped(_)) => stream.finish(),
            Err(broken) => return Err(broken),
        }
        within(PATIENCE, "an answer", stream.answer()).await
    }

    /// Says bytes that are answered.
    ///
    /// # Panics
    /// Where they are not.
    pub async fn say(&self, bytes: &[u8]) -> Answer {
        self.try_say(bytes).await.expect("an answer")
    }

    /// Asks for something.
    ///
    /// # Errors
    /// [`Broken`], where there is no answer.
    pub async fn try_ask(&self, request: Value) -> Result<Answer, Broken> {
        self.try_say(&RawFrame::request(&request).encode()).await
    }

    /// Asks for something that is answered.
    ///
    /// # Panics
    /// Where it is not.
    pub async fn ask(&self, request: Value) -> Answer {
        self.try_ask(request).await.expect("an answer")
    }

    /// Says hello.
    ///
    /// # Panics
    /// Where there is no answer.
    pub async fn hello(&self, name: &str) -> Answer {
        self.say(&RawFrame::hello(name).encode()).await
    }

    /// Says hello with a password.
    ///
    /// # Panics
    /// Where there is no answer.
    pub async fn sign_in(&self, name: &str, password: &str) -> Answer {
        let hello = json!({"command": "hello", "version": 1, "name": name, "password": password});
        self.ask(hello).await
    }

    /// Says something, and gives what the server says.
    ///
    /// # Panics
    /// Where it is not acknowledged.
    pub async fn message(&self, text: &str) -> String {
        let answer = self.ask(json!({"command": "message", "text": text})).await;
        answer.reply()["text"].as_str().expect("a text").to_owned()
    }

    /// The rows of the status.
    ///
    /// # Panics
    /// Where it is refused.
    pub async fn status(&self) -> Vec<Value> {
        let answer = self.ask(json!({"command": "status"})).await;
        answer.eof();
        answer.replies
    }

    /// A folder's list.
    ///
    /// # Panics
    /// Where there is no answer.
    pub async fn list(&self, path: &str) -> Answer {
        self.ask(json!({"command": "list", "path": path})).await
    }

    /// Asks for a file.
    ///
    /// # Errors
    /// The [`Answer`], where it is refused.
    ///
    /// # Panics
    /// Where there is no answer.
    pub async fn get(&self, path: &str) -> Result<Download, Answer> {
        let mut stream = self.open().await.unwrap();
        let request = RawFrame::request(&json!({"command": "get", "path": path}));
        stream.write_frame(&request).await.unwrap();
        stream.download().await
    }

    /// The code a get is refused with, `""` where the file comes, whole, and is acknowledged.
    ///
    /// # Panics
    /// Where there is no answer.
    pub async fn get_code(&self, path: &str) -> String {
        match self.get(path).await {
            Err(answer) => answer.code().to_owned(),
            Ok(download) => match download.finish().await {
                Err(answer) => answer.code().to_owned(),
                Ok(content) => {
                    content.received().await;
                    String::new()
                }
            },
        }
    }

    /// Whether the connection and the server behind it are well.
    ///
    /// # Panics
    /// Where they are not.
    pub async fn is_well(&self) {
        assert_eq!(self.message("are you there?").await, "are you there? ACK");
    }

    /// Waits until the server ends the connection.
    ///
    /// # Panics
    /// When it does not.
    pub async fn closed(&self) -> Closed {
        self.closed_within(PATIENCE).await
    }

    /// The same, with a deadline of its own.
    ///
    /// # Panics
    /// When it does not.
    pub async fn closed_within(&self, patience: Duration) -> Closed {
        match within(patience, "the end of the connection", self.connection.closed()).await {
            ConnectionError::ApplicationClosed(closed) => {
                Closed::Code(closed.error_code.into_inner())
            }
            ConnectionError::TimedOut => Closed::TimedOut,
            other => Closed::Other(other),
        }
    }

    /// Leaves without a word on any stream.
    pub async fn leave(self) {
        self.connection.close(0_u32.into(), b"");
        // The word must be out before the socket is gone.
        within(PATIENCE, "the last packet", self.endpoint.wait_idle()).await;
    }
}
