//! A server that is none: bare quinn and frames, on a thread of its own. It shows whatever certificate
//! and says whatever a story wants, and keeps what it hears. Uses none of Quiver's own code.

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

use crate::deadline::{PATIENCE, within};
use crate::wire::{RawFrame, Stream, kind};
pub use certificate::Certificate;
use certificate::Shown;

/// A running impostor. Dropped, it is gone without a word.
#[derive(Debug)]
pub struct Impostor {
    address: SocketAddr,
    shown: Arc<Shown>,
    met: watch::Receiver<Vec<Met>>,
    folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Somebody who dialled.
#[derive(Debug, Clone, Default)]
pub struct Met {
    /// Whether they went through with the handshake.
    pub connected: bool,
    /// Whether they showed a certificate.
    pub certificate: bool,
    /// The bytes they said, all streams together.
    pub heard: Vec<u8>,
    /// Whether they are gone.
    pub gone: bool,
}

/// One thing that is done on a stream.
#[derive(Debug, Clone)]
pub enum Act {
    /// Bytes are sent.
    Send(Vec<u8>),
    /// Frames are read up to one of this kind, or to the end.
    Hear(u8),
    /// The other side is told that nothing more is read.
    StopReading,
    /// The sending half is finished.
    Finish,
    /// The sending half is abandoned.
    Reset,
    /// The connection is closed with a code.
    Close(u32),
}

/// What is done when somebody asks for something. Where it is `None`, what a server would do to a hello,
/// a message and an exit; nothing at all where it is empty.
pub type Script = dyn Fn(&Value) -> Option<Vec<Act>> + Send + Sync;

impl Impostor {
    /// Starts one with a good certificate.
    ///
    /// # Panics
    /// Where no socket can be had.
    #[must_use]
    pub fn start(script: impl Fn(&Value) -> Option<Vec<Act>> + Send + Sync + 'static) -> Self {
        Self::with(Certificate::new(), script)
    }

    /// Starts one that shows a certificate, and does nothing of its own.
    ///
    /// # Panics
    /// Where no socket can be had.
    #[must_use]
    pub fn showing(certificate: Certificate) -> Self {
        Self::with(certificate, |_| None)
    }

    fn with(
        certificate: Certificate,
        script: impl Fn(&Value) -> Option<Vec<Act>> + Send + Sync + 'static,
    ) -> Self {
        let folder = tempfile::Builder::new().prefix("quiver-impostor-").tempdir().unwrap();
        fs::write(folder.path().join("server.pem"), &certificate.pem).unwrap();
        let shown = Arc::new(Shown::new(&certificate));
        let config = certificate::server_config(shown.clone());
        let (news, met) = watch::channel(Vec::new());
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let work = move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
                tell.send(endpoint.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = serve(endpoint, Arc::new(news), Arc::new(script)) => {}
                    // Sent, or dropped.
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::spawn(work);
        let address = told.recv().expect("a socket");
        Self { address, shown, met, folder, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file with the certificate it showed first.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    /// From now on shows another certificate.
    pub fn show(&self, certificate: &Certificate) {
        self.shown.change(certificate);
    }

    /// Waits until somebody has said this.
    ///
    /// # Panics
    /// When nobody does.
    pub async fn hears(&self, text: &str) {
        let said = |met: &Met| met.heard.windows(text.len()).any(|bytes| bytes == text.as_bytes());
        let mut met = self.met.clone();
        let heard = met.wait_for(|met| met.iter().any(said));
        drop(within(PATIENCE, text, heard).await.expect("the impostor runs"));
    }

    /// Everybody who dialled, once so many of them are gone.
    ///
    /// # Panics
    /// When they do not go.
    pub async fn met(&self, count: usize) -> Vec<Met> {
        let mut met = self.met.clone();
        let all = met.wait_for(|met| met.iter().filter(|met| met.gone).count() >= count);
        within(PATIENCE, "the end of connections", all).await.expect("the impostor runs").clone()
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the impostor panicked");
        }
    }
}

impl Act {
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

    /// One Data frame, however long.
    #[must_use]
    pub fn data(content: &[u8]) -> Self {
        Self::Send(RawFrame::new(kind::DATA, content).encode())
    }

    /// A reply, an Eof and the end.
    #[must_use]
    pub fn answer(value: &Value) -> Vec<Self> {
        vec![Self::reply(value), Self::eof(&json!({})), Self::Finish]
    }
}

type News = Arc<watch::Sender<Vec<Met>>>;

async fn serve(endpoint: Endpoint, news: News, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        let number = news.borrow().len();
        news.send_modify(|met| met.push(Met::default()));
        let (news, script) = (news.clone(), script.clone());
        connections.spawn(async move {
            if let Ok(connection) = incoming.await {
                let certificate = connection.peer_identity().is_some();
                news.send_modify(|met| {
                    (met[number].connected, met[number].certificate) = (true, certificate);
                });
                converse(&connection, &news, number, script).await;
            }
            news.send_modify(|met| met[number].gone = true);
        });
    }
}

/// Until the connection ends.
async fn converse(connection: &quinn::Connection, news: &News, number: usize, script: Arc<Script>) {
    let mut streams = JoinSet::new();
    while let Ok(pair) = connection.accept_bi().await {
        let (connection, news, script) = (connection.clone(), news.clone(), script.clone());
        streams.spawn(async move {
            let mut stream = Stream::from(pair);
            let hear = |frame: &RawFrame| {
                news.send_modify(|met| met[number].heard.extend(frame.encode()));
            };
            let Ok(Some(request)) = stream.read_frame().await else { return };
            hear(&request);
            let request = request.value();
            let acts = script(&request).unwrap_or_else(|| plain(&request));
            play(&connection, &mut stream, acts, hear).await;
            while let Ok(Some(frame)) = stream.read_frame().await {
                hear(&frame);
            }
            // Neither half ends by itself while the connection stands.
            connection.closed().await;
        });
    }
}

async fn play(
    connection: &quinn::Connection,
    stream: &mut Stream,
    acts: Vec<Act>,
    hear: impl Fn(&RawFrame),
) {
    for act in acts {
        match act {
            Act::Send(bytes) => {
                // A client that has heard enough stops the stream.
                if stream.send.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Act::Hear(kind) => {
                while let Ok(Some(frame)) = stream.read_frame().await {
                    hear(&frame);
                    if frame.kind == kind {
                        break;
                    }
                }
            }
            Act::StopReading => {
                let _ = stream.recv.stop(0_u32.into());
            }
            Act::Finish => stream.finish(),
            Act::Reset => {
                let _ = stream.send.reset(0_u32.into());
            }
            Act::Close(code) => connection.close(code.into(), b""),
        }
    }
}

/// What a server would do.
fn plain(request: &Value) -> Vec<Act> {
    match request["command"].as_str() {
        Some("hello") => Act::answer(&welcome(&request["name"])),
        Some("message") => {
            let text = request["text"].as_str().unwrap_or_default();
            Act::answer(&json!({"reply": "text", "text": format!("{text} ACK")}))
        }
        Some("exit") => Act::answer(&json!({"reply": "goodbye"})),
        _ => vec![Act::error("unknown_command", "unknown command"), Act::Finish],
    }
}

/// The answer to a hello.
#[must_use]
pub fn welcome(name: &Value) -> Value {
    json!({
        "reply": "welcome", "client": 1, "name": name, "message": "", "max_clients": 3,
        "limits": {"message": 16_384, "request": 8192, "streams": 64, "connections": 8},
    })
}
