//! The requests that an interface can pass to the client. Units are in the types; nothing is validated yet.

use std::fmt;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use quiver_protocol::ClientName;
use quiver_transfer::Rate;

use crate::journal::TreeSelection;
use crate::tree::Decision;

/// How long a transfer tries to reconnect after its last progress, unless its interface chooses another time: long enough
/// for a tunnel, a change of networks or a restart of the server.
pub const RETRY_TIME: Duration = Duration::from_secs(600);

/// What to do with files that exist with other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConflictPolicy {
    /// Ask the interface; without one the files fail.
    Ask,
    /// Each of the files fails with an error.
    #[default]
    Fail,
    /// Apply the same decision to all of the files.
    Decided(Decision),
}

impl ConflictPolicy {
    /// The decision, if it was made beforehand.
    #[must_use]
    pub fn decision(self) -> Option<Decision> {
        match self {
            Self::Decided(decision) => Some(decision),
            Self::Ask | Self::Fail => None,
        }
    }

    /// Whether existing files are replaced.
    #[must_use]
    pub fn replaces(self) -> bool {
        self == Self::Decided(Decision::Replace)
    }

    /// Whether this policy needs a plan.
    pub(crate) fn needs_plan(self) -> bool {
        matches!(self, Self::Decided(Decision::KeepBoth | Decision::Skip))
    }
}

/// Options of a transfer in either direction.
#[derive(Debug, Clone)]
pub struct TransferOptions {
    /// Include folders and their contents.
    pub recursive: bool,
    /// Report what the transfer would do, and do nothing.
    pub dry_run: bool,
    /// What to do with files that exist with other content.
    pub on_conflict: ConflictPolicy,
    /// Resume the partial files of earlier attempts.
    pub resume: bool,
    /// The rate limit of all files together.
    pub rate_limit: Option<Rate>,
    /// How long to try to reconnect after a loss, counted from the last progress; zero gives up at once.
    pub retry_for: Duration,
    /// Report each file of a tree. Named files are always reported.
    pub report_files: bool,
    /// Record the transfer, so that a later run can resume it.
    pub journal: bool,
}

impl Default for TransferOptions {
    fn default() -> Self {
        Self {
            recursive: false,
            dry_run: false,
            on_conflict: ConflictPolicy::default(),
            resume: true,
            rate_limit: None,
            retry_for: RETRY_TIME,
            report_files: false,
            journal: true,
        }
    }
}

impl TransferOptions {
    /// Whether a transfer with these options needs a plan.
    pub(crate) fn needs_plan(&self) -> bool {
        self.recursive || self.dry_run || self.on_conflict.needs_plan()
    }
}

/// A request to download files.
#[derive(Debug)]
pub struct DownloadRequest {
    /// Paths on the server, or patterns like `notes/*.txt` and `**/*.md`.
    pub paths: Vec<String>,
    /// The destination of the files.
    pub destination: Destination,
    /// Options.
    pub options: TransferOptions,
}

/// The destination of downloaded files.
pub enum Destination {
    /// An existing folder. Each file gets the last part of its path as its name.
    Folder(PathBuf),
    /// An existing folder, and a new name for the only file or folder that is downloaded.
    Renamed {
        /// The folder.
        folder: PathBuf,
        /// The name.
        name: String,
    },
    /// A stream that gets the files one after the other. Each file is verified after it was written.
    Stream(Box<dyn Write + Send>),
}

/// A request to upload files.
#[derive(Debug)]
pub struct UploadRequest {
    /// The content to upload.
    pub content: UploadContent,
    /// The target folder on the server; the empty text is its root.
    pub to: String,
    /// The name of the file on the server, if it differs. Only for a single file.
    pub stored_as: Option<String>,
    /// Options.
    pub options: TransferOptions,
}

/// A request to offer files to another client.
#[derive(Debug)]
pub struct OfferRequest {
    /// The recipient.
    pub to: ClientName,
    /// The files and folders, or a stream.
    pub content: UploadContent,
    /// The name of the only file, if it differs. A stream needs one.
    pub offered_as: Option<String>,
}

/// A request to accept an offer.
#[derive(Debug, Clone)]
pub struct AcceptRequest {
    /// The folder to store the files in.
    pub folder: PathBuf,
    /// What to do with files that exist with other content.
    pub on_conflict: ConflictPolicy,
    /// How long to try to reconnect with the sender after a loss, counted from the last progress.
    pub retry_for: Duration,
    /// Report each file.
    pub report_files: bool,
}

impl Default for AcceptRequest {
    fn default() -> Self {
        let on_conflict = ConflictPolicy::Decided(Decision::KeepBoth);
        let folder = PathBuf::from(".");
        Self { folder, on_conflict, retry_for: RETRY_TIME, report_files: false }
    }
}

impl AcceptRequest {
    pub(crate) fn options(&self) -> TransferOptions {
        let Self { on_conflict, retry_for, report_files, .. } = *self;
        let defaults = TransferOptions::default();
        TransferOptions { recursive: true, on_conflict, retry_for, report_files, ..defaults }
    }
}

/// The content of an upload.
pub enum UploadContent {
    /// Local files and, if the upload is recursive, folders, as the user typed them.
    Paths(Vec<PathBuf>),
    /// A stream, read to its end on a thread of its own.
    Stream(Box<dyn Read + Send>),
}

/// A request to resume unfinished transfers.
#[derive(Debug, Clone)]
pub struct ResumeRequest {
    /// The transfer to resume, by its path on the server or its local file or folder; `None` for all.
    pub path: Option<PathBuf>,
    /// How long to try to reconnect after a loss, counted from the last progress; zero gives up at once.
    pub retry_for: Duration,
    /// Report each file of a tree. Named files are always reported.
    pub report_files: bool,
}

impl ResumeRequest {
    /// The options for files that an earlier run has started.
    pub(crate) fn options(&self) -> TransferOptions {
        let (retry_for, report_files) = (self.retry_for, self.report_files);
        TransferOptions { retry_for, report_files, ..TransferOptions::default() }
    }

    /// The options for a tree, with the decisions of the run that started it.
    pub(crate) fn tree_options(&self, tree: &TreeSelection) -> TransferOptions {
        let on_conflict = tree.on_conflict.map_or(ConflictPolicy::Ask, ConflictPolicy::Decided);
        TransferOptions { recursive: tree.recursive, on_conflict, ..self.options() }
    }
}

impl Destination {
    /// Whether it is a stream.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }
}

impl UploadContent {
    /// Whether it is a stream.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => f.debug_tuple("Folder").field(folder).finish(),
            Self::Renamed { folder, name } => {
                f.debug_tuple("Renamed").field(folder).field(name).finish()
            }
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl fmt::Debug for UploadContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paths(paths) => f.debug_tuple("Paths").field(paths).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}
