//! What is worth knowing and is no error: values, whose words are the interface's.

use std::path::PathBuf;
use std::time::Duration;

use quiver_protocol::FilePath;
use quiver_transfer::file_system::UnsetAttributes;

/// Something worth knowing.
#[derive(Debug, Clone)]
pub enum Notice {
    /// The server's fingerprint was confirmed and cannot be remembered.
    ServerNotRemembered {
        /// The server.
        server: String,
        /// Why.
        why: String,
    },
    /// An upload that breaks off cannot be resumed by a later run: this client's key is not kept.
    KeyNotStored {
        /// Why.
        why: String,
    },
    /// Transfers that break off are not found by a later run: the journal cannot be written.
    JournalNotWritable {
        /// Why.
        why: String,
    },
    /// The connection was lost, and is made again for so long.
    Reconnecting {
        /// Why it was lost, with what the server said of it.
        why: String,
        /// How long it is tried.
        retry_for: Duration,
    },
    /// The beginning of a file that is here is hashed, which takes a while.
    HashingPrefix {
        /// The file's path on the server.
        path: FilePath,
        /// Its bytes.
        bytes: u64,
    },
    /// A file is resumed where an earlier attempt stopped.
    Resuming {
        /// The file's path on the server.
        path: FilePath,
        /// Where.
        offset: u64,
        /// Bytes of the whole file.
        size: u64,
    },
    /// What an earlier attempt has left is of no use: the file has changed.
    StartingOver {
        /// The file's path on the server.
        path: FilePath,
        /// Whether it changed on the server.
        on_server: bool,
    },
    /// A file was stored without some of its attributes. Told once in a run.
    AttributesNotSet {
        /// The file, to be shown.
        path: PathBuf,
        /// Which.
        unset: UnsetAttributes,
    },
    /// Something here is neither a file nor a folder, and not sent.
    Skipped {
        /// Where it is, to be shown.
        path: PathBuf,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// A file stays as it is, and the new one was stored beside it. Both to be shown.
    KeptBoth {
        /// The one that was there.
        kept: String,
        /// The new one.
        stored: String,
    },
    /// An unfinished transfer is carried out by another process.
    AlreadyRunning {
        /// What it is, to be shown.
        transfer: String,
    },
    /// There is nothing unfinished to resume.
    NothingToResume,
}
