//! What is told of a transfer: its status as a whole, and what becomes of its files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quiver_protocol::{ContentHash, FilePath};
use quiver_transfer::TransferBottleneck;

use super::TransferId;
use crate::error::ClientError;
use crate::journal::Direction;
use crate::progress::Progress;
use crate::throughput::Throughput;
use crate::tree::{Decision, ItemKind, PlanItemState};

/// Where a transfer is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferState {
    /// What is to move is being found out.
    Planning,
    /// A question of its waits for an answer.
    WaitingForAnswer,
    /// Content moves.
    Running,
    /// It was paused: what was moved so far is kept.
    Paused,
    /// The connection is lost, and is being made again.
    Reconnecting,
    /// All of it was dealt with.
    Done,
    /// Some or all of it failed.
    Failed,
    /// It was cancelled. What was moved so far is kept.
    Cancelled,
}

impl TransferState {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// How a transfer is at one moment. Bytes count once, over all connections of this run.
#[derive(Debug, Clone)]
pub struct TransferStatus {
    /// Its number.
    pub id: TransferId,
    /// Which way.
    pub direction: Direction,
    /// What was asked for, as it was written.
    pub named: Vec<String>,
    /// Where it is in its life.
    pub state: TransferState,
    /// How many files there are, once that is known.
    pub files: Option<u64>,
    /// How many of them are done.
    pub files_done: u64,
    /// Bytes of all files, as far as they are known.
    pub bytes: Option<u64>,
    /// Bytes that the sending end has handed to the connection; of a download known with each file's end.
    pub sent: u64,
    /// Bytes that have arrived at the receiving end.
    pub received: u64,
    /// Bytes of files that are verified and have their names.
    pub verified: u64,
    /// Bytes a second over the last seconds, once there is something to go by.
    pub rate: Option<u64>,
    /// How long the rest takes at that rate.
    pub time_left: Option<Duration>,
    /// What limited it, once that can be told.
    pub limited_by: Option<TransferBottleneck>,
    /// Why it failed; `None` for one of several that were resumed together, whose failures are told as events.
    pub error: Option<Arc<ClientError>>,
}

/// What became of a transfer, or of one of its files.
#[derive(Debug, Clone)]
pub enum TransferEvent {
    /// It has another state.
    State(TransferState),
    /// A file, or all files of a tree together, move from now on: how far they are can be looked at.
    Started(Arc<Progress>),
    /// A file is here, verified.
    Downloaded(Arc<DownloadedFile>),
    /// A file is on the server, verified.
    Uploaded(Arc<UploadedFile>),
    /// One of several files failed.
    FileFailed(Arc<ClientError>),
    /// What would be done with a file or folder.
    Planned(Arc<PlannedFile>),
    /// All that was planned is shown.
    PlanShown,
    /// A tree was dealt with.
    Summary(TransferSummary),
    /// All files have moved, and how fast.
    Throughput(Throughput),
}

/// A file that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadedFile {
    /// Its path on the server.
    pub path: FilePath,
    /// Where it is here, to be shown; `None` where it was streamed.
    pub target: Option<PathBuf>,
    /// Bytes of the whole file.
    pub size: u64,
    /// Of the whole file.
    pub blake3: ContentHash,
    /// Where the content began that came on the last stream.
    pub resumed_at: u64,
    /// Bytes that came in this run, over all its connections.
    pub received: u64,
    /// From the first question to its name.
    pub took: Duration,
    /// What limited its last stream.
    pub limited_by: Option<TransferBottleneck>,
}

/// A file that was stored on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedFile {
    /// Its path on the server.
    pub path: FilePath,
    /// Where it comes from, to be shown.
    pub source: String,
    /// Bytes of the whole file.
    pub size: u64,
    /// Of the whole file.
    pub blake3: ContentHash,
    /// Bytes that were handed to connections in this run.
    pub sent: u64,
    /// Where content began on the last stream.
    pub resumed_at: u64,
    /// From the first question to the server's last word.
    pub took: Duration,
    /// What limited its last stream.
    pub limited_by: Option<TransferBottleneck>,
}

/// What would be done with a file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// Where it comes from.
    pub source: FilePath,
    /// Where it would be, to be shown.
    pub target: String,
    /// What it is.
    pub kind: ItemKind,
    /// How it compares to what is there.
    pub state: PlanItemState,
    /// What becomes of one that differs.
    pub decision: Option<Decision>,
    /// Whether there is no room for it.
    pub does_not_fit: bool,
    /// Bytes that are there already.
    pub resume_at: u64,
}

/// What became of the files of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransferSummary {
    /// Files that moved, verified.
    pub moved: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were there already, with the same content.
    pub same: u64,
    /// Files that differ from what is there, which was to stay as it is.
    pub kept: u64,
    /// Files that failed, each named.
    pub failed: u64,
    /// Links, devices and the like, and names that are not served.
    pub left_out: u64,
    /// From the plan to the end.
    pub took: Duration,
}
