//! A fake server: bare quinn and frames, on a thread of its own. A story chooses its certificate and scripts
//! its responses; it records the bytes it receives. Uses none of Quiver's own code.

mod certificate;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use quinn::Endpoint;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::deadline::{TIMEOUT, wait_within};
use crate::wire::{RawFrame, RawStream, kind};
pub use certificate::Certificate;
use certificate::CurrentCertificate;

/// A running fake server. A drop stops it without closing its connections.
#[derive(Debug)]
pub struct FakeServer {
    address: SocketAddr,
    certificate: Arc<CurrentCertificate>,
    clients: watch::Receiver<Vec<ClientRecord>>,
    folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A connection attempt of a client.
#[derive(Debug, Clone, Default)]
pub struct ClientRecord {
    /// Whether the handshake completed.
    pub connected: bool,
    /// Whether the client showed a certificate.
    pub has_certificate: bool,
    /// The bytes it sent, all streams together.
    pub received: Vec<u8>,
    /// Whether the connection has ended.
    pub is_closed: bool,
}

/// A step of a script, on one stream.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Reads frames up to one of this kind, or to the end of the stream.
    ReadUntil(u8),
    /// Stops reading, and tells the client so.
    StopReading,
    /// Finishes the sending half.
    Finish,
    /// Resets the sending half.
    Reset,
    /// Closes the connection with a code.
    Close(u32),
}

/// The steps for a request. `None` means the default: a server's response to a hello, a message and an
/// exit. An empty list means no response.
pub type Script = dyn Fn(&Value) -> Option<Vec<Step>> + Send + Sync;

impl FakeServer {
    /// Starts one with a valid certificate.
    ///
    /// # Panics
    /// If no socket can be bound.
    #[must_use]
    pub fn start(script: impl Fn(&Value) -> Option<Vec<Step>> + Send + Sync + 'static) -> Self {
        Self::start_with(Certificate::new(), script)
    }

    /// Starts one with this certificate and the default responses.
    ///
    /// # Panics
    /// If no socket can be bound.
    #[must_use]
    pub fn with_certificate(certificate: Certificate) -> Self {
        Self::start_with(certificate, |_| None)
    }

    fn start_with(
        certificate: Certificate,
        script: impl Fn(&Value) -> Option<Vec<Step>> + Send + Sync + 'static,
    ) -> Self {
        let folder = tempfile::Builder::new().prefix("quiver-fake-server-").tempdir().unwrap();
        fs::write(folder.path().join("server.pem"), &certificate.pem).unwrap();
        let current = Arc::new(CurrentCertificate::new(&certificate));
        let config = certificate::server_config(current.clone());
        let (records, clients) = watch::channel(Vec::new());
        let (stop, stopped) = oneshot::channel::<()>();
        let (address_sender, bound) = std::sync::mpsc::channel();
        let work = move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
                address_sender.send(endpoint.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = serve(endpoint, Arc::new(records), Arc::new(script)) => {}
                    // Sent, or dropped.
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::spawn(work);
        let address = bound.recv().expect("a socket");
        Self {
            address,
            certificate: current,
            clients,
            folder,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The address it listens at.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file with the certificate it started with.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    /// Shows another certificate from now on.
    pub fn set_certificate(&self, certificate: &Certificate) {
        self.certificate.set(certificate);
    }

    /// Waits until a client has sent this text.
    ///
    /// # Panics
    /// If none does within [`TIMEOUT`].
    pub async fn wait_for_text(&self, text: &str) {
        let has_text = |client: &ClientRecord| {
            client.received.windows(text.len()).any(|bytes| bytes == text.as_bytes())
        };
        let mut clients = self.clients.clone();
        let received = clients.wait_for(|clients| clients.iter().any(has_text));
        drop(wait_within(TIMEOUT, text, received).await.expect("the fake server runs"));
    }

    /// Waits until `count` connections have ended, and returns all clients.
    ///
    /// # Panics
    /// If fewer end within [`TIMEOUT`].
    pub async fn closed_clients(&self, count: usize) -> Vec<ClientRecord> {
        let mut clients = self.clients.clone();
        let are_closed = |clients: &Vec<ClientRecord>| {
            clients.iter().filter(|client| client.is_closed).count() >= count
        };
        let all = clients.wait_for(are_closed);
        wait_within(TIMEOUT, "the end of connections", all)
            .await
            .expect("the fake server runs")
            .clone()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the fake server panicked");
        }
    }
}

impl Step {
    /// A frame of JSON.
    #[must_use]
    pub fn json(kind: u8, value: &Value) -> Self {
        Self::Send(RawFrame::json(kind, value).encode())
    }

    /// A Reply frame.
    #[must_use]
    pub fn reply(value: &Value) -> Self {
        Self::json(kind::REPLY, value)
    }

    /// An Eof frame.
    #[must_use]
    pub fn eof(value: &Value) -> Self {
        Self::json(kind::EOF, value)
    }

    /// An Error frame.
    #[must_use]
    pub fn error(code: &str, message: &str) -> Self {
        Self::json(kind::ERROR, &json!({"code": code, "message": message}))
    }

    /// One Data frame of any length.
    #[must_use]
    pub fn data(content: &[u8]) -> Self {
        Self::Send(RawFrame::new(kind::DATA, content).encode())
    }

    /// A reply, an Eof and the end of the stream.
    #[must_use]
    pub fn response(value: &Value) -> Vec<Self> {
        vec![Self::reply(value), Self::eof(&json!({})), Self::Finish]
    }
}

type ClientRecords = Arc<watch::Sender<Vec<ClientRecord>>>;

async fn serve(endpoint: Endpoint, records: ClientRecords, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        let number = records.borrow().len();
        records.send_modify(|clients| clients.push(ClientRecord::default()));
        let (records, script) = (records.clone(), script.clone());
        connections.spawn(async move {
            if let Ok(connection) = incoming.await {
                let has_certificate = connection.peer_identity().is_some();
                records.send_modify(|clients| {
                    let client = &mut clients[number];
                    (client.connected, client.has_certificate) = (true, has_certificate);
                });
                serve_connection(&connection, &records, number, script).await;
            }
            records.send_modify(|clients| clients[number].is_closed = true);
        });
    }
}

/// Returns when the connection has ended.
async fn serve_connection(
    connection: &quinn::Connection,
    records: &ClientRecords,
    number: usize,
    script: Arc<Script>,
) {
    let mut streams = JoinSet::new();
    while let Ok(pair) = connection.accept_bi().await {
        let (connection, records, script) = (connection.clone(), records.clone(), script.clone());
        streams.spawn(async move {
            let mut stream = RawStream::from(pair);
            let record = |frame: &RawFrame| {
                records.send_modify(|clients| clients[number].received.extend(frame.encode()));
            };
            let Ok(Some(request)) = stream.read_frame().await else { return };
            record(&request);
            let request = request.value();
            let steps = script(&request).unwrap_or_else(|| default_steps(&request));
            perform(&connection, &mut stream, steps, record).await;
            while let Ok(Some(frame)) = stream.read_frame().await {
                record(&frame);
            }
            // The stream stays open as long as the connection.
            connection.closed().await;
        });
    }
}

async fn perform(
    connection: &quinn::Connection,
    stream: &mut RawStream,
    steps: Vec<Step>,
    record: impl Fn(&RawFrame),
) {
    for step in steps {
        match step {
            Step::Send(bytes) => {
                // A client that needs no more stops the stream.
                if stream.send.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Step::ReadUntil(kind) => {
                while let Ok(Some(frame)) = stream.read_frame().await {
                    record(&frame);
                    if frame.kind == kind {
                        break;
                    }
                }
            }
            Step::StopReading => {
                let _ = stream.recv.stop(0_u32.into());
            }
            Step::Finish => stream.finish(),
            Step::Reset => {
                let _ = stream.send.reset(0_u32.into());
            }
            Step::Close(code) => connection.close(code.into(), b""),
        }
    }
}

/// A server's steps for a request.
fn default_steps(request: &Value) -> Vec<Step> {
    match request["command"].as_str() {
        Some("hello") => Step::response(&welcome(&request["name"])),
        Some("message") => {
            let text = request["text"].as_str().unwrap_or_default();
            Step::response(&json!({"reply": "text", "text": format!("{text} ACK")}))
        }
        Some("exit") => Step::response(&json!({"reply": "goodbye"})),
        _ => vec![Step::error("unknown_command", "unknown command"), Step::Finish],
    }
}

/// The reply to a hello.
#[must_use]
pub fn welcome(name: &Value) -> Value {
    json!({
        "reply": "welcome", "client": 1, "name": name, "message": "", "max_clients": 3,
        "limits": {"message": 16_384, "request": 8192, "streams": 64, "connections": 8},
    })
}
