//! A server that puts itself between its clients: it introduces them with keys of its choice, and answers the relay itself
//! in place of passing packets. Runs on a thread of its own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use quinn::{Connection, RecvStream, SendStream};
use quiver_transport::CommandStream;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::fake_server::welcome;
use crate::raw_peer::{PeerConnection, PeerKey, PeerSide};
use crate::wire::{Key, Listener, RawFrame, RawStream, kind};

/// Bytes that are passed on at once.
const PIECE: usize = 64 * 1024;

/// What the server does with the keys of its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interposition {
    /// It vouches for its own key in place of each client's, and passes the requests on.
    Substitute,
    /// It vouches for the true keys, and takes part in the handshakes with its own.
    Impersonate,
    /// As [`Substitute`](Self::Substitute), but introduces the client of this name in place of each other one.
    Redirect(&'static str),
}

/// A running server. A drop stops it.
#[derive(Debug)]
pub struct InterposingServer {
    address: SocketAddr,
    key: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The state that all connections share.
struct InterposingState {
    interposition: Interposition,
    key: PeerKey,
    /// The true fingerprints, by name.
    fingerprints: HashMap<String, String>,
    listeners: Mutex<HashMap<String, mpsc::UnboundedSender<Value>>>,
    /// Relay streams, by the id of the introduction and the name.
    relays: Mutex<HashMap<String, (String, CommandStream)>>,
    /// The connections with clients that were opened in place of others'.
    bridges: Mutex<JoinSet<()>>,
}

impl InterposingServer {
    /// Starts one with the key of a server, for clients with these names and fingerprints.
    ///
    /// # Panics
    /// If no socket can be bound.
    #[must_use]
    pub fn start(server: &Key, interposition: Interposition, clients: &[(&str, &str)]) -> Self {
        let key = PeerKey::new();
        let fingerprint = key.fingerprint();
        let owned = |(name, key): &(&str, &str)| ((*name).to_owned(), (*key).to_owned());
        let state = Arc::new(InterposingState {
            interposition,
            key,
            fingerprints: clients.iter().map(owned).collect(),
            listeners: Mutex::default(),
            relays: Mutex::default(),
            bridges: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let (sender, bound) = std::sync::mpsc::channel();
        let server = server.clone();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = Listener::new(&server);
                sender.send(listener.address()).unwrap();
                tokio::select! {
                    () = accept(&listener, state) => {}
                    // Sent, or dropped.
                    _ = stopped => {}
                }
            });
        });
        let address = bound.recv().expect("a socket");
        Self { address, key: fingerprint, stop: Some(stop), thread: Some(thread) }
    }

    /// The address it listens at.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The fingerprint of the key with which it takes the place of its clients.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl Drop for InterposingServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the interposing server panicked");
        }
    }
}

async fn accept(listener: &Listener, state: Arc<InterposingState>) {
    let mut connections = JoinSet::new();
    while let Some(connection) = listener.next_connection().await {
        let state = state.clone();
        connections.spawn(async move { state.serve(connection).await });
    }
}

impl InterposingState {
    async fn serve(self: Arc<Self>, connection: Connection) {
        let (mut streams, name) = (JoinSet::new(), Arc::<Mutex<String>>::default());
        while let Ok(pair) = connection.accept_bi().await {
            let (state, name) = (self.clone(), name.clone());
            streams.spawn(async move {
                let mut stream = RawStream::from(pair);
                let Ok(Some(request)) = stream.read_frame().await else { return };
                let request = request.value();
                if request["command"] == "hello" {
                    request["name"].as_str().unwrap_or_default().clone_into(&mut name.lock());
                }
                let name = name.lock().clone();
                // Fails if the client has gone.
                let _ = state.respond(&name, &request, stream).await;
            });
        }
    }

    /// The key for which the server vouches.
    fn key_of(&self, name: &str) -> Value {
        match self.interposition {
            Interposition::Substitute | Interposition::Redirect(_) => {
                json!(self.key.fingerprint())
            }
            Interposition::Impersonate => json!(self.fingerprints[name]),
        }
    }

    async fn respond(
        self: Arc<Self>,
        name: &str,
        request: &Value,
        mut stream: RawStream,
    ) -> Result<(), crate::wire::RawStreamError> {
        let reply = |value: &Value| RawFrame::json(kind::REPLY, value);
        let end = RawFrame::json(kind::EOF, &json!({}));
        match request["command"].as_str().unwrap_or_default() {
            "hello" => stream.write_frame(&reply(&welcome(&request["name"]))).await?,
            "exit" => stream.write_frame(&reply(&json!({"reply": "goodbye"}))).await?,
            "listen" => {
                let (sender, mut introductions) = mpsc::unbounded_channel();
                self.listeners.lock().insert(name.to_owned(), sender);
                stream.write_frame(&reply(&json!({"reply": "listening"}))).await?;
                while let Some(introduction) = introductions.recv().await {
                    stream.write_frame(&reply(&introduction)).await?;
                }
            }
            "introduce" => {
                let other = match self.interposition {
                    Interposition::Redirect(other) => other,
                    _ => request["name"].as_str().unwrap_or_default(),
                };
                let id = format!("{:032x}", blake3::hash(name.as_bytes()).as_bytes()[0]);
                let introduction = |kind: &str, client: u32, name: &str| {
                    json!({"reply": kind, "id": id, "client": client, "name": name,
                        "key": self.key_of(name), "relay": true})
                };
                let listener = self.listeners.lock().get(other).cloned();
                if let Some(listener) = listener {
                    // Fails if the client has gone.
                    let _ = listener.send(introduction("introduction", 1, name));
                }
                stream.write_frame(&reply(&introduction("introduced", 2, other))).await?;
            }
            "relay" => {
                stream.write_frame(&reply(&json!({"reply": "relaying"}))).await?;
                let own_end = CommandStream::from((stream.send, stream.recv));
                let id = request["id"].as_str().unwrap_or_default().to_owned();
                let first = self.relays.lock().remove(&id);
                match first {
                    None => drop(self.relays.lock().insert(id, (name.to_owned(), own_end))),
                    Some(first) => self.interpose([first, (name.to_owned(), own_end)]),
                }
                return Ok(());
            }
            // `answer` among others.
            _ => {}
        }
        stream.write_frame(&end).await?;
        stream.finish();
        Ok(())
    }

    /// Opens a connection with each of the two clients, and passes the streams of both to the other one.
    fn interpose(self: Arc<Self>, ends: [(String, CommandStream); 2]) {
        let this = self.clone();
        self.bridges.lock().spawn(async move {
            // The first name in the alphabet asks for introductions in these stories, and dials.
            let mut ends = ends;
            ends.sort_by(|left, right| left.0.cmp(&right.0));
            let [(requester, to_requester), (responder, to_responder)] = ends;
            let open = |name: String, stream, side| {
                let (identity, key) = (&this.key.identity, json!(this.fingerprints[&name]));
                async move { PeerConnection::open(stream, identity, side, &key).await }
            };
            let (requester, responder) = tokio::join!(
                open(requester, to_requester, PeerSide::Responder),
                open(responder, to_responder, PeerSide::Requester)
            );
            let (Ok(requester), Ok(responder)) = (requester, responder) else { return };
            tokio::join!(
                pass_streams(&requester.connection, &responder.connection),
                pass_streams(&responder.connection, &requester.connection)
            );
        });
    }
}

/// Opens a stream at one side for each that the other one opens, and passes the bytes of both.
async fn pass_streams(from: &Connection, to: &Connection) {
    let mut streams = JoinSet::new();
    while let Ok((send, recv)) = from.accept_bi().await {
        let Ok((other_send, other_recv)) = to.open_bi().await else { return };
        streams.spawn(pass_bytes(recv, other_send));
        streams.spawn(pass_bytes(other_recv, send));
    }
}

async fn pass_bytes(mut from: RecvStream, mut to: SendStream) {
    while let Ok(Some(chunk)) = from.read_chunk(PIECE, true).await {
        if to.write_chunk(chunk.bytes).await.is_err() {
            return;
        }
    }
    // Fails if the other side has stopped the stream.
    let _ = to.finish();
}
