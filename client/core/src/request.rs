//! What can be asked of the client: own types, whatever interface made them. Units are in the types; nothing is
//! checked yet.

use std::fmt;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use quiver_transfer::Rate;

use crate::journal::TreeSelection;
use crate::tree::Decision;

/// What becomes of files that exist with other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConflictPolicy {
    /// The interface is asked; without one they fail.
    Ask,
    /// They fail, each with an error.
    #[default]
    Fail,
    /// The same is done with all of them.
    Decided(Decision),
}

impl ConflictPolicy {
    /// What was decided beforehand.
    #[must_use]
    pub fn decision(self) -> Option<Decision> {
        match self {
            Self::Decided(decision) => Some(decision),
            Self::Ask | Self::Fail => None,
        }
    }

    /// Whether files that exist are replaced.
    #[must_use]
    pub fn replaces(self) -> bool {
        self == Self::Decided(Decision::Replace)
    }

    /// Whether it takes a plan to carry it out.
    pub(crate) fn takes_a_plan(self) -> bool {
        matches!(self, Self::Decided(Decision::KeepBoth | Decision::Skip))
    }
}

/// What holds for a transfer in either direction.
#[derive(Debug, Clone)]
pub struct TransferOptions {
    /// Folders too, with all that is in them.
    pub recursive: bool,
    /// Only tell what would be done.
    pub dry_run: bool,
    /// What becomes of files that exist with other content.
    pub on_conflict: ConflictPolicy,
    /// Whether to take up what an earlier attempt has left.
    pub resume: bool,
    /// At most so many bytes a second, all files together.
    pub rate_limit: Option<Rate>,
    /// How long a lost connection is made again, from the last progress on; zero gives up at once.
    pub retry_for: Duration,
    /// Whether each file of a tree is told of. A file that was named always is.
    pub report_files: bool,
}

impl Default for TransferOptions {
    fn default() -> Self {
        Self {
            recursive: false,
            dry_run: false,
            on_conflict: ConflictPolicy::default(),
            resume: true,
            rate_limit: None,
            retry_for: Duration::from_secs(60),
            report_files: false,
        }
    }
}

impl TransferOptions {
    /// Whether it takes a plan to do it.
    pub(crate) fn takes_a_plan(&self) -> bool {
        self.recursive || self.dry_run || self.on_conflict.takes_a_plan()
    }
}

/// Fetch files from the server.
#[derive(Debug)]
pub struct DownloadRequest {
    /// Paths on the server, or patterns like `notes/*.txt` and `**/*.md`.
    pub paths: Vec<String>,
    /// Where they go.
    pub destination: Destination,
    /// How.
    pub options: TransferOptions,
}

/// Where fetched files go.
pub enum Destination {
    /// Into a folder that exists, each under the last part of its path.
    Folder(PathBuf),
    /// One after the other into a stream, each verified once all of it was written.
    Stream(Box<dyn Write + Send>),
}

/// Store files on the server.
#[derive(Debug)]
pub struct UploadRequest {
    /// What to store.
    pub content: UploadContent,
    /// The server's folder; the empty text is its root.
    pub to: String,
    /// The name to store one file under, if another than its own.
    pub stored_as: Option<String>,
    /// How.
    pub options: TransferOptions,
}

/// What is stored on the server.
pub enum UploadContent {
    /// Files and, where that was asked for, folders here, as they were written.
    Paths(Vec<PathBuf>),
    /// What comes out of a stream, up to its end. It is read on a thread of its own.
    Stream(Box<dyn Read + Send>),
}

/// Resume what is unfinished.
#[derive(Debug, Clone)]
pub struct ResumeRequest {
    /// One of them: its path on the server, or its file or folder here; all where absent.
    pub path: Option<PathBuf>,
    /// How long a lost connection is made again, from the last progress on; zero gives up at once.
    pub retry_for: Duration,
    /// Whether each file of a tree is told of. A file that was named always is.
    pub report_files: bool,
}

impl ResumeRequest {
    /// For files that an earlier run has begun.
    pub(crate) fn options(&self) -> TransferOptions {
        let (retry_for, report_files) = (self.retry_for, self.report_files);
        TransferOptions { retry_for, report_files, ..TransferOptions::default() }
    }

    /// The same for a tree, with what was decided when it was begun.
    pub(crate) fn options_of(&self, tree: &TreeSelection) -> TransferOptions {
        let on_conflict = tree.differing.map_or(ConflictPolicy::Ask, ConflictPolicy::Decided);
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
