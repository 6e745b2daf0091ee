//! What a transfer reports: its status, and events about its files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quiver_protocol::{ClientName, ContentHash, ContentPrefix, FilePath, Timestamp};
use quiver_transfer::TransferBottleneck;
use quiver_transport::PathFacts;

use super::{PlanSummary, PlannedFile, TransferId};
use crate::address::ServerAddress;
use crate::error::ClientError;
use crate::journal::Direction;
use crate::peer_store::OfferNumber;
use crate::throughput::Throughput;
use crate::tree::LeftOut;

/// The state of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferState {
    /// The plan is being made.
    Planning,
    /// A question waits for an answer.
    WaitingForAnswer,
    /// Content is transferred.
    Running,
    /// It is paused: partial files are kept.
    Paused,
    /// The connection was lost; the client reconnects.
    Reconnecting,
    /// All files are finished.
    Done,
    /// Some or all files failed.
    Failed,
    /// It was cancelled: partial files are kept.
    Cancelled,
}

impl TransferState {
    /// Whether the state is final.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// The other side of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtherSide {
    /// A server.
    Server(ServerAddress),
    /// Another client, whose offer is fetched.
    Client(ClientName),
}

/// The status of a transfer at one moment. Each byte counts once, over all connections of this run.
#[derive(Debug, Clone)]
pub struct TransferStatus {
    /// Its number.
    pub id: TransferId,
    /// Download or upload.
    pub direction: Direction,
    /// Where the files are, or go to.
    pub other: OtherSide,
    /// The requested paths as typed.
    pub named: Vec<String>,
    /// Its state.
    pub state: TransferState,
    /// Whether it can be paused, and has no streamed content.
    pub is_pausable: bool,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Number of files, once known.
    pub files: Option<u64>,
    /// Number of finished files.
    pub files_done: u64,
    /// Number of files that failed.
    pub files_failed: u64,
    /// The path of the file that was started last.
    pub current_file: Option<FilePath>,
    /// Bytes of all files, once all sizes are known.
    pub bytes: Option<u64>,
    /// Bytes that the sender has handed to the connection. For a download this is updated at the
    /// end of each file.
    pub sent: u64,
    /// Bytes that the receiver has received.
    pub received: u64,
    /// Bytes of files that are verified and have their names.
    pub verified: u64,
    /// Rate of the last seconds in bytes per second, once known; `None` while it is paused.
    pub rate: Option<u64>,
    /// Time that the remaining bytes take at that rate.
    pub time_left: Option<Duration>,
    /// What limited the throughput, once known.
    pub limited_by: Option<TransferBottleneck>,
    /// The error of a failed transfer; `None` for one of several that were resumed together, whose
    /// failures are reported as events.
    pub error: Option<Arc<ClientError>>,
}

/// An offer of this person whose files this process serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedOffer {
    /// Its number.
    pub number: OfferNumber,
    /// The recipient.
    pub recipient: ClientName,
    /// The first of its files and folders.
    pub names: Vec<String>,
    /// Whether the recipient has accepted it.
    pub is_accepted: bool,
    /// When this process began to serve it.
    pub started: Timestamp,
    /// Number of files.
    pub files: u64,
    /// Bytes of all files, if known.
    pub bytes: Option<u64>,
    /// Bytes that this process has sent.
    pub sent: u64,
    /// Rate of the last seconds in bytes per second, once known.
    pub rate: Option<u64>,
    /// Time that the remaining bytes take at that rate.
    pub time_left: Option<Duration>,
}

/// An event of a transfer or of one of its files.
#[derive(Debug, Clone)]
pub enum TransferEvent {
    /// The state has changed.
    State(TransferState),
    /// A file was downloaded and verified, or is already there.
    Downloaded(Arc<DownloadedFile>),
    /// A file was uploaded and verified, or is already there.
    Uploaded(Arc<UploadedFile>),
    /// One of several files failed.
    FileFailed(Arc<ClientError>),
    /// What the transfer leaves out: links, devices, and what cannot be read. Once, if there is any.
    LeftOut(Arc<LeftOut>),
    /// A dry run reports a file or folder.
    Planned(Arc<PlannedFile>),
    /// A dry run has reported all items: the totals.
    PlanShown(PlanSummary),
    /// A tree transfer has ended.
    Summary(TransferSummary),
    /// The throughput over all files.
    Throughput(Throughput),
}

/// A downloaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadedFile {
    /// Its path on the server.
    pub path: FilePath,
    /// The local path as shown to users; `None` if the content was streamed.
    pub target: Option<PathBuf>,
    /// Bytes of the whole file.
    pub size: u64,
    /// Hash of the whole file.
    pub blake3: ContentHash,
    /// Offset of the content on the last stream.
    pub resumed_at: u64,
    /// Bytes received in this run, over all connections.
    pub received: u64,
    /// Time from the first request until the file got its name.
    pub took: Duration,
    /// What limited its last stream.
    pub limited_by: Option<TransferBottleneck>,
    /// The path at the end of the transfer; `None` if nothing was transferred.
    pub path_facts: Option<PathFacts>,
    /// Whether the same content was there before this run, so that nothing was transferred.
    pub already_there: bool,
}

/// An uploaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedFile {
    /// Its path on the server.
    pub path: FilePath,
    /// The local path as shown to users.
    pub source: String,
    /// Bytes of the whole file.
    pub size: u64,
    /// Hash of the whole file.
    pub blake3: ContentHash,
    /// Bytes handed to connections in this run.
    pub sent: u64,
    /// Offset of the content on the last stream.
    pub resumed_at: u64,
    /// Time from the first request to the server's confirmation.
    pub took: Duration,
    /// What limited its last stream.
    pub limited_by: Option<TransferBottleneck>,
    /// The path at the end of the transfer; `None` if nothing was transferred.
    pub path_facts: Option<PathFacts>,
    /// Whether the same content was there before this run, so that nothing was transferred.
    pub already_there: bool,
}

impl DownloadedFile {
    /// A file whose content is already at its target.
    pub(crate) fn already_there(path: FilePath, target: PathBuf, content: ContentPrefix) -> Self {
        let ContentPrefix { size, blake3 } = content;
        Self {
            path,
            target: Some(target),
            size,
            blake3,
            resumed_at: size,
            received: 0,
            took: Duration::ZERO,
            limited_by: None,
            path_facts: None,
            already_there: true,
        }
    }
}

impl UploadedFile {
    /// A file whose content the server has already.
    pub(crate) fn already_there(path: FilePath, source: String, content: ContentPrefix) -> Self {
        let ContentPrefix { size, blake3 } = content;
        Self {
            path,
            source,
            size,
            blake3,
            sent: 0,
            resumed_at: size,
            took: Duration::ZERO,
            limited_by: None,
            path_facts: None,
            already_there: true,
        }
    }
}

/// The outcome of a tree transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransferSummary {
    /// Files that were transferred and verified.
    pub moved: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Files that already existed with the same content.
    pub same: u64,
    /// Files that differ from an existing file, which was kept.
    pub kept: u64,
    /// Files that failed. Each was reported.
    pub failed: u64,
    /// Entries that were left out: links, devices and the like, and what cannot be read or named.
    pub left_out: u64,
    /// Time from the finished plan to the end.
    pub took: Duration,
}
