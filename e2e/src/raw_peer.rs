//! A client that speaks `quiver-peer/1` with other clients as a story scripts it, and may break the protocol. Requests and
//! replies are written from docs/protocol.md; the packets of the relayed connection pass through Quiver's own socket.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use quiver_protocol::{Fingerprint, FrameKind, limits};
use quiver_transport::{CommandStream, Endpoint, EndpointSettings, Identity};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::deadline::{TIMEOUT, wait_within};
use crate::server::Server;
use crate::wire::{Client, Dialer, Key, RawFrame, RawResponse, RawStream, kind};

/// A key, as the client of the wire protocol and as Quiver's sockets use it.
#[derive(Debug)]
pub struct PeerKey {
    /// For connections with a server.
    pub key: Key,
    /// For connections with other clients.
    pub identity: Identity,
}

/// A client that is signed in at a server.
#[derive(Debug)]
pub struct RawPeer {
    /// The connection with the server.
    pub client: Client,
    /// Its key.
    pub key: PeerKey,
}

/// A connection with another client over a relay. A drop ends the relay.
#[derive(Debug)]
pub struct PeerConnection {
    /// The connection.
    pub connection: quinn::Connection,
    endpoint: Endpoint,
    _relay: JoinSet<()>,
}

/// The side of an introduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerSide {
    /// It asked for the introduction, and dials.
    Requester,
    /// It accepts.
    Responder,
}

impl PeerKey {
    /// Generates one.
    ///
    /// # Panics
    /// If the system has no randomness, or no temporary folder can be written.
    #[must_use]
    pub fn new() -> Self {
        Key::new().into()
    }

    /// Its fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint()
    }
}

impl From<Key> for PeerKey {
    fn from(key: Key) -> Self {
        let folder = TempDir::new().unwrap();
        let [certificate_path, key_path] =
            ["peer.pem", "peer.key"].map(|name| folder.path().join(name));
        fs::write(&certificate_path, key.pem()).unwrap();
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key_path);
        file.unwrap().write_all(key.private_key_pem().as_bytes()).unwrap();
        let identity = Identity::load(&certificate_path, &key_path).unwrap();
        Self { key, identity }
    }
}

impl Default for PeerKey {
    fn default() -> Self {
        Self::new()
    }
}

impl RawPeer {
    /// Signs in with a new key.
    ///
    /// # Panics
    /// If that fails.
    pub async fn sign_in(server: &Server, name: &str) -> Self {
        Self::sign_in_with(server, name, PeerKey::new()).await
    }

    /// Signs in with this key.
    ///
    /// # Panics
    /// If that fails.
    pub async fn sign_in_with(server: &Server, name: &str, key: PeerKey) -> Self {
        let client = Dialer::new(server).key(&key.key).sign_in(name).await;
        Self { client, key }
    }

    /// Connects with the client of this name, which listens.
    ///
    /// # Panics
    /// If that fails.
    pub async fn connect(&self, name: &str) -> PeerConnection {
        let request = json!({"command": "introduce", "name": name});
        let introduced = self.client.request(request).await;
        let (id, key) = (&introduced.reply()["id"], &introduced.reply()["key"]);
        let stream = self.relay(id).await;
        PeerConnection::open(stream, &self.key.identity, PeerSide::Requester, key).await.unwrap()
    }

    /// Accepts the connection for which a client asks next.
    ///
    /// # Panics
    /// If none does.
    pub async fn accept(&self, listening: &mut RawStream) -> PeerConnection {
        let introduction = self.client.answer_next(listening, true).await;
        let stream = self.relay(&introduction["id"]).await;
        let key = &introduction["key"];
        PeerConnection::open(stream, &self.key.identity, PeerSide::Responder, key).await.unwrap()
    }

    /// Opens the relay of an introduction.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn relay(&self, id: &Value) -> CommandStream {
        let mut stream = CommandStream::from(self.client.connection().open_bi().await.unwrap());
        let request = json!({"command": "relay", "id": id}).to_string();
        stream.writer.write_frame(FrameKind::Request, request.as_bytes()).await.unwrap();
        stream.writer.flush().await.unwrap();
        let frame = stream.reader.read_frame(limits::FRAME, TIMEOUT).await.unwrap();
        assert_eq!(frame.kind, FrameKind::Reply, "{frame:?}");
        stream
    }
}

impl PeerConnection {
    /// Opens the connection of one side over a relay, on which packets pass already. The dialling side requires `key`.
    ///
    /// # Errors
    /// Why the handshake failed.
    ///
    /// # Panics
    /// If it neither succeeds nor fails within [`TIMEOUT`].
    pub async fn open(
        stream: CommandStream,
        identity: &Identity,
        side: PeerSide,
        key: &Value,
    ) -> Result<Self, String> {
        let (endpoint, relay) =
            Endpoint::over_relay(stream, identity, EndpointSettings::default()).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { drop(relay.run().await) });
        let key = key.as_str().and_then(Fingerprint::parse).expect("a fingerprint");
        let handshake = async {
            match side {
                PeerSide::Requester => {
                    let dialled = endpoint.dial_over_relay(identity, key).await;
                    dialled.map_err(|error| error.to_string())
                }
                PeerSide::Responder => {
                    let incoming = endpoint.accept().await.ok_or("the relay has ended")?;
                    let accepted =
                        async { endpoint.start_handshake(incoming)?.complete().await }.await;
                    let accepted = accepted.map_err(|error| error.to_string())?;
                    Ok(quinn::Connection::clone(&accepted.promote()))
                }
            }
        };
        let connection = wait_within(TIMEOUT, "a handshake", handshake).await?;
        Ok(Self { connection, endpoint, _relay: tasks })
    }

    /// Waits until the last packets are sent, such as the one that closes the connection.
    pub async fn wait_idle(&self) {
        self.endpoint.wait_idle(TIMEOUT).await;
    }

    /// Opens a stream.
    ///
    /// # Panics
    /// If the connection ends, or the other client permits no more streams.
    pub async fn open_stream(&self) -> RawStream {
        wait_within(TIMEOUT, "a stream", self.connection.open_bi()).await.unwrap().into()
    }

    /// Sends a request on a new stream that stays open.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub async fn start_request(&self, request: Value) -> RawStream {
        let mut stream = self.open_stream().await;
        stream.write_frame(&RawFrame::request(&request)).await.unwrap();
        stream.finish();
        stream
    }

    /// Sends a request, and reads the whole response.
    ///
    /// # Panics
    /// If there is none.
    pub async fn request(&self, request: Value) -> RawResponse {
        let mut stream = self.start_request(request).await;
        wait_within(TIMEOUT, "a response", stream.read_response()).await.unwrap()
    }

    /// The next request of the other client, and its stream. Declines direct connections.
    ///
    /// # Panics
    /// If there is none.
    pub async fn next_request(&self) -> (Value, RawStream) {
        loop {
            let (request, mut stream) = self.next_request_or_dial().await;
            if request["command"] != "dial" {
                return (request, stream);
            }
            let declined = json!({"code": "declined", "message": "not now"});
            stream.write_frame(&RawFrame::json(kind::ERROR, &declined)).await.unwrap();
            stream.finish();
        }
    }

    /// The next request of the other client, also for a direct connection, and its stream.
    ///
    /// # Panics
    /// If there is none.
    pub async fn next_request_or_dial(&self) -> (Value, RawStream) {
        let accepted = wait_within(TIMEOUT, "a request", self.connection.accept_bi()).await;
        let mut stream = RawStream::from(accepted.unwrap());
        (stream.next_frame().await.value(), stream)
    }
}
