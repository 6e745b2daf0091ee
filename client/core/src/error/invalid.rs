//! What was asked for and cannot be done as it was asked: settled before anything is sent.

use std::path::{Path, PathBuf};

use quiver_protocol::name::BadName;
use quiver_protocol::text::{display_path, display_safe};
use thiserror::Error;

/// Why a request cannot be carried out. How to ask otherwise is said by the interface.
#[derive(Debug, Error)]
pub enum InvalidRequest {
    /// Two files of a download have the same name in one folder.
    #[error("two files would be stored as {}", display_safe(.0))]
    DuplicateDownload(String),
    /// Two files of an upload have the same path.
    #[error("two files would be stored as {}", display_safe(.0))]
    DuplicateUpload(String),
    /// Two things of a tree have the same path.
    #[error("two files would be stored as {}", display_safe(.0))]
    DuplicateTreePath(String),
    /// A tree has more in it than a plan can hold.
    #[error("there are more files and folders than one plan may have")]
    PlanTooLarge,
    /// Folders, or a plan, are to be written as a stream.
    #[error("folders and plans cannot go to standard output")]
    TreeToStream,
    /// A pattern passes through more folders than can be remembered.
    #[error("the pattern stands for too many folders")]
    PatternTooWide,
    /// What comes as a stream has no name to be stored under.
    #[error("what comes from standard input has no name")]
    StreamWithoutName,
    /// What comes as a stream cannot be planned.
    #[error("standard input takes no plan: it is what it is")]
    StreamWithPlan,
    /// One name was given for several files.
    #[error("--as names one file, and there are several")]
    NameForSeveral,
    /// A name was given that is a path.
    #[error("{} is a path where a name is expected", display_safe(.0))]
    PathForName(String),
    /// A file that was named here has a name that is not UTF-8.
    #[error("cannot put {}: its name is not UTF-8", display_path(.0))]
    NotUtf8(PathBuf),
    /// The same of a file or folder that a plan begins with.
    #[error("cannot put {}: its name is not UTF-8", display_safe(&.0.to_string_lossy()))]
    RootNotUtf8(PathBuf),
    /// The same of a file in a folder.
    #[error("cannot put {}: its name is not UTF-8", display_safe(&.0.to_string_lossy()))]
    EntryNotUtf8(PathBuf),
    /// A running transfer has the same target.
    #[error("{} is under way already", display_safe(&.0.to_string_lossy()))]
    AlreadyRunning(PathBuf),
    /// Nothing unfinished is called so.
    #[error("nothing unfinished is called {}", display_safe(&.0.to_string_lossy()))]
    NoUnfinishedTransfer(PathBuf),
    /// An unfinished transfer is of another server than the one that was named.
    #[error("{path} is {kind} of another server than {server}")]
    WrongServer {
        /// What is unfinished, to be shown.
        path: String,
        /// `a file` or `a tree`.
        kind: &'static str,
        /// The server that was named.
        server: String,
    },
    /// A file in the journal's folder is no entry.
    #[error("{path} is no transfer: {why}", path = display_path(path), why = display_safe(why))]
    JournalEntry {
        /// The file.
        path: PathBuf,
        /// Why it is not believed.
        why: String,
    },
    /// A name is needed, and none was given.
    #[error("no name was given")]
    MissingName,
    /// A text that is no client's name.
    #[error(transparent)]
    Name(#[from] BadName),
    /// The user's login name cannot be found, or is no client's name.
    #[error("{0}")]
    LoginName(String),
    /// A password longer than any may be.
    #[error("a password has at most {0} bytes")]
    PasswordTooLong(usize),
    /// No transfer of this process has this number, or it is over.
    #[error("there is no running transfer {0}")]
    UnknownTransfer(u64),
    /// The transfer's content comes from or goes to a stream, which cannot be taken up again.
    #[error("transfer {0} cannot be paused: its content is streamed")]
    NotPausable(u64),
    /// Nothing is connected yet.
    #[error("there is no connection yet")]
    NotConnected,
}

impl InvalidRequest {
    /// A file whose name is not UTF-8, as it was named.
    pub(crate) fn not_utf8(path: &Path) -> Self {
        Self::NotUtf8(path.to_owned())
    }
}
