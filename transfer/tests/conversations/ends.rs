//! Two ends of a connection: one asks, the other answers; either may have dialled.

use std::fmt::Display;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use chrono::Utc;
use parking_lot::Mutex;
use quiver_protocol::{FilePath, FrameKind, Request, limits};
use quiver_transfer::{Observer, TransferBottleneck};
use quiver_transport::identity::Validity;
use quiver_transport::{
    Channel, CommandStream, Connection, Endpoint, Identity, Protocol, Role, ServerVerifier,
    StreamPriority,
};
use tempfile::TempDir;
use tokio::time::timeout;

/// What every conversation ends within.
const DEADLINE: Duration = Duration::from_secs(30);

/// The longest silence of one end that the other accepts.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A protocol between equals: whichever end dialled, either may ask and answer.
const PROTOCOL: Protocol = Protocol::peer_to_peer(b"ends/1");

/// Which end opened the connection.
#[derive(Debug, Clone, Copy)]
enum Dialled {
    Asking,
    Answering,
}

/// The end that sends requests.
pub(crate) struct Asking {
    pub(crate) channel: Channel,
    pub(crate) folder: Folder,
    _endpoint: Endpoint,
}

/// The end that answers them.
pub(crate) struct Answering {
    connection: Connection,
    priority: StreamPriority,
    pub(crate) folder: Folder,
    _endpoint: Endpoint,
}

/// A folder of one end.
pub(crate) struct Folder {
    temporary: TempDir,
    pub(crate) dir: Arc<Dir>,
}

/// What an observer was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    moved: u64,
    end: Option<Ending>,
}

/// How a transfer ended, as an observer was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    Succeeded(u64),
    Failed(String),
}

/// Holds a conversation twice: with the asking end as the one that dialled, and with the answering end as that one.
pub(crate) async fn whoever_dialled(conversation: impl AsyncFn(Asking, Answering)) {
    for dialled in [Dialled::Asking, Dialled::Answering] {
        let held = async {
            let (asking, answering) = connect(dialled).await;
            conversation(asking, answering).await;
        };
        let held = timeout(DEADLINE, held).await;
        assert!(held.is_ok(), "no end within {DEADLINE:?} where the dialling end was {dialled:?}");
    }
}

async fn connect(dialled: Dialled) -> (Asking, Answering) {
    let identity = Identity::create("end", &[], Validity::days(Utc::now(), 1)).unwrap();
    let listening = Endpoint::listen(([127, 0, 0, 1], 0).into(), &identity, &[PROTOCOL]).unwrap();
    let dialling = Endpoint::dialler().unwrap();
    let address = listening.local_addr().unwrap();
    let dial = dialling.dial(address, PROTOCOL, Some(&identity), ServerVerifier::new(None));
    let accept = async {
        let incoming = listening.accept().await.unwrap();
        listening.admit(incoming).unwrap().complete().await.unwrap()
    };
    let (dialled_connection, accepted) = tokio::join!(dial, accept);
    let dialled_connection = dialled_connection.unwrap();
    let accepted = Connection::clone(&accepted.promote());
    assert!(dialled_connection.side().is_client() && accepted.side().is_server());
    match dialled {
        Dialled::Asking => {
            (Asking::new(dialled_connection, dialling), Answering::new(accepted, listening))
        }
        Dialled::Answering => {
            (Asking::new(accepted, listening), Answering::new(dialled_connection, dialling))
        }
    }
}

impl Asking {
    fn new(connection: Connection, endpoint: Endpoint) -> Self {
        Self {
            channel: Channel::on(connection, Role::Peer),
            folder: Folder::new(),
            _endpoint: endpoint,
        }
    }
}

impl Answering {
    fn new(connection: Connection, endpoint: Endpoint) -> Self {
        let priority = StreamPriority::on(connection.clone(), Role::Peer);
        Self { connection, priority, folder: Folder::new(), _endpoint: endpoint }
    }

    /// The next request, and the stream to answer it on.
    pub(crate) async fn request(&self) -> (Request, CommandStream) {
        let pair = self.connection.accept_bi().await.unwrap();
        let mut stream = CommandStream::from(pair).with_priority(self.priority.clone());
        let frame = stream.reader.read_frame(limits::MESSAGE, PATIENCE).await.unwrap();
        assert_eq!(frame.kind, FrameKind::Request);
        (Request::decode(&frame.payload).unwrap(), stream)
    }
}

impl Folder {
    fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(temporary.path(), ambient_authority()).unwrap();
        Self { temporary, dir: Arc::new(dir) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temporary.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// How many names are in it.
    pub(crate) fn names(&self) -> usize {
        fs::read_dir(self.temporary.path()).unwrap().count()
    }
}

impl Heard {
    /// Bytes of content that moved.
    pub(crate) fn moved(&self) -> u64 {
        self.0.lock().moved
    }

    /// How it ended; `None` where that was not told.
    pub(crate) fn end(&self) -> Option<Ending> {
        self.0.lock().end.clone()
    }
}

impl Observer for Heard {
    fn transferred(&self, bytes: u64) {
        self.0.lock().moved += bytes;
    }

    fn succeeded(self, size: u64, _limited_by: Option<TransferBottleneck>) {
        self.0.lock().end = Some(Ending::Succeeded(size));
    }

    fn failed(self, reason: &dyn Display) {
        self.0.lock().end = Some(Ending::Failed(reason.to_string()));
    }
}

/// So many bytes that do not repeat with any block.
pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

pub(crate) fn path(name: &str) -> FilePath {
    FilePath::parse(name).unwrap()
}
