//! Two peers of a connection: one sends requests, the other responds; either may have dialled.

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
    Channel, CommandStream, Connection, Endpoint, EndpointSettings, Identity, Protocol, Role,
    ServerVerifier, StreamPriority,
};
use tempfile::TempDir;
use tokio::time::timeout;

/// Timeout for each conversation.
const DEADLINE: Duration = Duration::from_secs(30);

/// Idle timeout of each peer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// A protocol between equal peers: whichever dialled, either may send requests.
const PROTOCOL: Protocol = Protocol::peer_to_peer(b"peers/1");

/// Which peer opened the connection.
#[derive(Debug, Clone, Copy)]
enum Dialler {
    Requester,
    Responder,
}

/// The peer that sends requests.
pub(crate) struct Requester {
    pub(crate) channel: Channel,
    pub(crate) folder: Folder,
    _endpoint: Endpoint,
}

/// The peer that responds to requests.
pub(crate) struct Responder {
    connection: Connection,
    priority: StreamPriority,
    pub(crate) folder: Folder,
    _endpoint: Endpoint,
}

/// A folder of one peer.
pub(crate) struct Folder {
    temporary: TempDir,
    pub(crate) dir: Arc<Dir>,
}

/// Records what an observer is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct RecordingObserver(Arc<Mutex<Recording>>);

#[derive(Debug, Default)]
struct Recording {
    transferred: u64,
    outcome: Option<TransferOutcome>,
}

/// The outcome of a transfer, as reported to an observer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TransferOutcome {
    Succeeded(u64),
    Failed(String),
}

/// Runs a conversation twice: the requester dials the first time, the responder the second time.
pub(crate) async fn with_either_dialler(conversation: impl AsyncFn(Requester, Responder)) {
    for dialler in [Dialler::Requester, Dialler::Responder] {
        let run = async {
            let (requester, responder) = connect(dialler).await;
            conversation(requester, responder).await;
        };
        let finished = timeout(DEADLINE, run).await;
        assert!(finished.is_ok(), "no end within {DEADLINE:?}, dialled by the {dialler:?}");
    }
}

/// Runs a conversation over two connections between the same peers, each dialled by either peer.
/// The folders are those of the first connection's peers.
pub(crate) async fn with_two_connections(
    conversation: impl AsyncFn(Requester, Responder, Requester, Responder),
) {
    for (first, second) in
        [(Dialler::Requester, Dialler::Responder), (Dialler::Responder, Dialler::Requester)]
    {
        let run = async {
            let ((requester, responder), (other_requester, other_responder)) =
                tokio::join!(connect(first), connect(second));
            conversation(requester, responder, other_requester, other_responder).await;
        };
        let finished = timeout(DEADLINE, run).await;
        assert!(finished.is_ok(), "no end within {DEADLINE:?}, dialled by the {first:?} first");
    }
}

async fn connect(dialler: Dialler) -> (Requester, Responder) {
    let identity = Identity::create("end", &[], Validity::days(Utc::now(), 1)).unwrap();
    let listening = Endpoint::listen(
        ([127, 0, 0, 1], 0).into(),
        &identity,
        &[PROTOCOL],
        EndpointSettings::default(),
    )
    .unwrap();
    let dialling = Endpoint::dialler(EndpointSettings::default()).unwrap();
    let address = listening.local_addr().unwrap();
    let dial = dialling.dial(address, PROTOCOL, Some(&identity), ServerVerifier::new(None));
    let accept = async {
        let incoming = listening.accept().await.unwrap();
        listening.start_handshake(incoming).unwrap().complete().await.unwrap()
    };
    let (dialled_connection, accepted) = tokio::join!(dial, accept);
    let dialled_connection = dialled_connection.unwrap();
    let accepted = Connection::clone(&accepted.promote());
    assert!(dialled_connection.side().is_client() && accepted.side().is_server());
    match dialler {
        Dialler::Requester => {
            (Requester::new(dialled_connection, dialling), Responder::new(accepted, listening))
        }
        Dialler::Responder => {
            (Requester::new(accepted, listening), Responder::new(dialled_connection, dialling))
        }
    }
}

impl Requester {
    fn new(connection: Connection, endpoint: Endpoint) -> Self {
        Self {
            channel: Channel::with_fixed_windows(connection, Role::Peer),
            folder: Folder::new(),
            _endpoint: endpoint,
        }
    }
}

impl Responder {
    fn new(connection: Connection, endpoint: Endpoint) -> Self {
        let priority = StreamPriority::new(connection.clone(), Role::Peer);
        Self { connection, priority, folder: Folder::new(), _endpoint: endpoint }
    }

    /// Closes the connection.
    pub(crate) fn close(&self) {
        self.connection.close(0_u32.into(), b"lost");
    }

    /// Accepts the next request, and returns it with its stream.
    pub(crate) async fn request(&self) -> (Request, CommandStream) {
        let pair = self.connection.accept_bi().await.unwrap();
        let mut stream = CommandStream::from(pair).with_priority(self.priority.clone());
        let frame = stream.reader.read_frame(limits::MESSAGE, TIMEOUT).await.unwrap();
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

    /// Number of names in the folder.
    pub(crate) fn names(&self) -> usize {
        fs::read_dir(self.temporary.path()).unwrap().count()
    }
}

impl RecordingObserver {
    /// Bytes of content that were transferred.
    pub(crate) fn transferred_bytes(&self) -> u64 {
        self.0.lock().transferred
    }

    /// The outcome; `None` if none was reported.
    pub(crate) fn outcome(&self) -> Option<TransferOutcome> {
        self.0.lock().outcome.clone()
    }
}

impl Observer for RecordingObserver {
    fn transferred(&self, bytes: u64) {
        self.0.lock().transferred += bytes;
    }

    fn succeeded(self, size: u64, _limited_by: Option<TransferBottleneck>) {
        self.0.lock().outcome = Some(TransferOutcome::Succeeded(size));
    }

    fn failed(self, reason: &dyn Display) {
        self.0.lock().outcome = Some(TransferOutcome::Failed(reason.to_string()));
    }
}

/// Content of `length` bytes that differs in every block.
pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

pub(crate) fn path(name: &str) -> FilePath {
    FilePath::parse(name).unwrap()
}
