//! Invalid requests, detected before the client sends anything.

use std::path::{Path, PathBuf};

use quiver_protocol::name::BadName;
use quiver_protocol::text::{display_path, display_safe};
use thiserror::Error;

/// Why a request is invalid. The interface adds a hint.
#[derive(Debug, Error)]
pub enum InvalidRequest {
    /// Two files of a download have the same name in one folder.
    #[error("two files would be stored as {}", display_safe(.0))]
    DuplicateDownload(String),
    /// Two files of an upload have the same path.
    #[error("two files would be stored as {}", display_safe(.0))]
    DuplicateUpload(String),
    /// Two items of a tree have the same path.
    #[error("two files would be stored as {}", display_safe(.0))]
    DuplicateTreePath(String),
    /// A tree has more items than a plan can hold.
    #[error("there are more files and folders than one plan can hold")]
    PlanTooLarge,
    /// Folders or a plan were requested as a stream.
    #[error("folders and plans cannot go to standard output")]
    TreeToStream,
    /// A pattern matches more folders than the client tracks.
    #[error("the pattern matches too many folders")]
    PatternTooWide,
    /// The server has more entries, or folders that are still to be listed, than the client holds in memory.
    #[error("there are more files and folders than one command takes")]
    TooManyEntries,
    /// An uploaded stream needs a name.
    #[error("content from standard input has no name")]
    StreamWithoutName,
    /// An uploaded stream cannot be planned.
    #[error("there is no plan for content from standard input")]
    StreamWithPlan,
    /// A new name was given for several files.
    #[error("--as names one file, and there are several")]
    NameForSeveral,
    /// A new name was given for the root folder of this machine.
    #[error("--as cannot name the contents of the root folder")]
    NameForRoot,
    /// A path was given as the new name.
    #[error("{} is a path where a name is expected", display_safe(.0))]
    PathForName(String),
    /// A path was given as the new name of a local file.
    #[error("{} is a path where a name is expected", display_safe(.0))]
    PathForLocalName(String),
    /// The name of a local file is not UTF-8.
    #[error("cannot put {}: its name is not UTF-8", display_path(.0))]
    NotUtf8(PathBuf),
    /// The name of a local file or folder at the root of a plan is not UTF-8.
    #[error("cannot put {}: its name is not UTF-8", display_safe(&.0.to_string_lossy()))]
    RootNotUtf8(PathBuf),
    /// A running transfer has the same target.
    #[error("{} is already being transferred", display_safe(&.0.to_string_lossy()))]
    AlreadyRunning(PathBuf),
    /// No unfinished transfer has this path.
    #[error("there is no unfinished transfer of {}", display_safe(&.0.to_string_lossy()))]
    NoUnfinishedTransfer(PathBuf),
    /// An unfinished transfer belongs to another server than the requested one.
    #[error("{path} is {kind} of a server other than {server}")]
    WrongServer {
        /// The transfer's path, escaped for display.
        path: String,
        /// `a file` or `a tree`.
        kind: &'static str,
        /// The requested server.
        server: String,
    },
    /// A file in the journal's folder is not a valid entry.
    #[error("{path} is not a valid journal entry: {why}", path = display_path(path), why = display_safe(why))]
    JournalEntry {
        /// The file.
        path: PathBuf,
        /// Why it is invalid.
        why: String,
    },
    /// The client's name is missing.
    #[error("no name was given")]
    MissingName,
    /// The text is not a valid client's name.
    #[error(transparent)]
    Name(#[from] BadName),
    /// The user's login name was not found, or is not a valid client's name.
    #[error("{0}")]
    LoginName(String),
    /// The password is longer than the limit, in bytes.
    #[error("a password has at most {0} bytes")]
    PasswordTooLong(usize),
    /// No running transfer of this process has this number.
    #[error("there is no running transfer {0}")]
    UnknownTransfer(u64),
    /// The transfer reads from or writes to a stream, which cannot be resumed.
    #[error("transfer {0} cannot be paused: its content is streamed")]
    NotPausable(u64),
    /// The client has not connected yet.
    #[error("not connected yet")]
    NotConnected,
}

impl InvalidRequest {
    /// The error for a local file whose name is not UTF-8.
    pub(crate) fn not_utf8(path: &Path) -> Self {
        Self::NotUtf8(path.to_owned())
    }
}
