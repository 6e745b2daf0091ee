//! Transfers as the page and other processes show them, as `client/page/web/messages.d.ts` describes them. Only data: texts
//! of other machines are not escaped.

use quiver_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// The kind of a path between two machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// Over the server.
    Server,
    /// Between the two clients.
    Direct,
    /// Over the relay of the server.
    Relayed,
    /// There is none.
    Closed,
}

/// Who sends what to whom in a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferKind {
    /// From the server.
    Download,
    /// To the server.
    Upload,
    /// To another client.
    Send,
    /// From another client.
    Receive,
}

/// The state of a transfer, as the page names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferStage {
    /// The plan is being made.
    Planning,
    /// A question or another client is waited for.
    Waiting,
    /// Content is transferred.
    Running,
    /// It is paused.
    Paused,
    /// The connection was lost.
    Reconnecting,
    /// It is finished.
    Done,
    /// It has failed.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// No process runs it, and it can be resumed.
    Unfinished,
}

/// What can be done with a transfer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferAction {
    /// Pause it.
    Pause,
    /// Resume it.
    Resume,
    /// Cancel it.
    Cancel,
    /// Start it again.
    Retry,
    /// Remove it from the list.
    Remove,
    /// Show its files.
    Show,
}

/// A transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferView {
    /// Its name: see [`TransferName`](crate::TransferName).
    pub transfer: String,
    /// The number by which a person names it: the same for all processes, until none is left.
    pub number: Option<u64>,
    /// What runs it.
    pub process: String,
    /// Whether it is of the process that shows it.
    pub own: bool,
    /// Who sends what.
    pub direction: TransferKind,
    /// The server, or the other client after `@`.
    pub with: String,
    /// What was asked for.
    pub names: Vec<String>,
    /// Its state.
    pub state: TransferStage,
    /// Number of files, once known.
    pub files: Option<u64>,
    /// Number of finished files.
    pub files_done: u64,
    /// Number of files that failed.
    pub files_failed: u64,
    /// Bytes of all files, once known.
    pub bytes: Option<u64>,
    /// Bytes that were sent.
    pub sent: u64,
    /// Bytes that were received.
    pub received: u64,
    /// Bytes of files that are verified and have their names.
    pub verified: u64,
    /// Bytes a second over the last seconds.
    pub rate: Option<u64>,
    /// Time that the remaining bytes take at that rate.
    pub seconds_left: Option<u64>,
    /// The path to the other side.
    pub path: Option<PathKind>,
    /// What limited the throughput.
    pub limited_by: Option<String>,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<Failure>,
    /// What can be done with it now.
    pub can: Vec<TransferAction>,
    /// The folder or file on this computer.
    pub local: Option<String>,
    /// The command that does the same.
    pub command: String,
}

/// A file of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferFileView {
    /// Its number in the transfer, from 1.
    pub number: u64,
    /// Its path at the source.
    pub source: String,
    /// Its target, for display.
    pub target: String,
    /// Its size in bytes, if known.
    pub size: Option<u64>,
    /// Its state.
    pub state: FileStage,
    /// Why it failed.
    pub error: Option<String>,
}

/// The state of a file of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileStage {
    /// A question or another client is waited for.
    Waiting,
    /// It is finished.
    Done,
    /// The target was the same already.
    Same,
    /// The target differs and is kept.
    Kept,
    /// It has failed.
    Failed,
}

impl TransferStage {
    /// Whether the state is final.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}
