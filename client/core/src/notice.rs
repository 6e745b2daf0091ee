//! Notices to the user that are not errors, as values. The interface chooses the words.

use std::path::PathBuf;
use std::time::Duration;

use quiver_protocol::FilePath;
use quiver_transfer::file_system::UnsetAttributes;

use crate::connection_detail::ConnectionDetail;

/// A notice.
#[derive(Debug, Clone)]
pub enum Notice {
    /// The client still dials the server, for the first session of this run.
    Connecting {
        /// The server.
        server: String,
    },
    /// How the connection is made.
    Connection(ConnectionDetail),
    /// The user has confirmed the server's fingerprint, and it cannot be remembered.
    ServerNotRemembered {
        /// The server.
        server: String,
        /// Why.
        why: String,
    },
    /// A later run cannot resume an interrupted upload, because this client's key is not stored.
    KeyNotStored {
        /// Why.
        why: String,
    },
    /// A later run will not find interrupted transfers, because the journal cannot be written.
    JournalNotWritable {
        /// Why.
        why: String,
    },
    /// The connection was lost, and the client tries to reconnect.
    Reconnecting {
        /// Why it was lost, with the server's reason.
        why: String,
        /// How long the client tries.
        retry_for: Duration,
    },
    /// The server does not answer on a connection that still exists.
    NoAnswer {
        /// The server's host.
        server: String,
        /// Whether the client tries to connect again. It waits instead for an answer while the connection has a command
        /// that cannot be repeated on another one.
        is_connecting: bool,
    },
    /// The server answers again, on the same connection or on another one.
    AnswersAgain {
        /// The server's host.
        server: String,
    },
    /// The client hashes the local prefix of a file, which takes a while.
    HashingPrefix {
        /// The file's path on the server.
        path: FilePath,
        /// The length of the prefix, in bytes.
        bytes: u64,
    },
    /// A file resumes where an earlier attempt has stopped.
    Resuming {
        /// The file's path on the server.
        path: FilePath,
        /// The offset, in bytes.
        offset: u64,
        /// The size of the whole file, in bytes.
        size: u64,
    },
    /// A file starts over, because it has changed since an earlier attempt.
    StartingOver {
        /// The file's path on the server.
        path: FilePath,
        /// Whether the file on the server has changed.
        on_server: bool,
    },
    /// A file was stored without some of its attributes. Published once in a run.
    AttributesNotSet {
        /// The file's path for display, not escaped.
        path: PathBuf,
        /// The missing attributes.
        unset: UnsetAttributes,
    },
    /// An existing file is kept, and the new one was stored beside it. Both paths are for display, not escaped.
    KeptBoth {
        /// The existing file.
        kept: String,
        /// The new file.
        stored: String,
    },
    /// Another process runs the unfinished transfer.
    AlreadyRunning {
        /// The transfer's name, escaped for display.
        transfer: String,
    },
    /// There is no unfinished transfer.
    NothingToResume,
}
