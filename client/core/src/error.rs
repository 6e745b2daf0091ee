//! All errors of the client. `Display` says what failed and why, and each error has a stable code. Texts from other
//! machines are escaped here, once. Hints on what to do belong to the interface.

mod code;
mod failures;
mod invalid;
mod peer;
mod untrusted;

use std::io;
use std::path::PathBuf;

use quiver_protocol::text::{display_path, display_remark, display_safe};
use quiver_protocol::{CloseCode, FilePath, Refusal, RefusalCode};
use quiver_transport::endpoint::EndpointError;
use quiver_transport::{ConnectionEnd, IdentityError, StreamError};
use thiserror::Error;

use crate::exchange::{GetError, PutError};
use crate::folders::FolderError;
use crate::journal::UnfinishedShare;
pub use code::ErrorCode;
pub use failures::Failures;
pub use invalid::InvalidRequest;
pub use peer::PeerError;
pub use untrusted::UntrustedServer;

/// An error of a client.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The request is invalid.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// There is no folder for the journal of unfinished transfers.
    #[error("there is no folder with unfinished transfers: {0}")]
    NoJournalFolder(FolderError),
    /// The file that `--cert` names cannot be used.
    #[error("{0}")]
    Certificate(IdentityError),
    /// The client's own key or certificate cannot be used.
    #[error("{0}")]
    Identity(IdentityError),
    /// The file that `--password-file` names cannot be read.
    #[error("cannot read {}: {source}", display_path(path))]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Other users can read the password file.
    #[error("{} can be read by other users", display_path(.0))]
    SharedPasswordFile(PathBuf),
    /// No socket could be opened.
    #[error("{0}")]
    Socket(#[from] EndpointError),
    /// The host's name could not be resolved.
    #[error("cannot find {host}: {why}")]
    Resolve {
        /// The host.
        host: String,
        /// The resolver's error.
        why: String,
    },
    /// No address of the server accepted a connection.
    #[error("cannot connect to {server}: {why}")]
    Unreachable {
        /// The server.
        server: String,
        /// The reason for each address.
        why: String,
    },
    /// The server is not trusted.
    #[error(transparent)]
    Untrusted(#[from] UntrustedServer),
    /// Something with another client failed.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// All slots are taken; the server's message.
    #[error("{}", display_remark(.0))]
    Busy(String),
    /// The server refused a request.
    #[error("{what}: {refusal}")]
    Refused {
        /// What failed.
        what: String,
        /// The refusal.
        refusal: Refusal,
    },
    /// A stream of a request failed.
    #[error("{what}: {source}")]
    Stream {
        /// What failed.
        what: String,
        /// Why.
        source: StreamError,
    },
    /// A download of a file failed.
    #[error("cannot get {}: {source}", display_safe(path))]
    Get {
        /// The file's path on the server.
        path: String,
        /// Why.
        source: GetError,
        /// Whether the content was written to a stream, before it was verified.
        streamed: bool,
    },
    /// An upload of a file failed.
    #[error("cannot put {}: {source}", display_safe(path))]
    Put {
        /// The path as the user typed it.
        path: String,
        /// Why.
        source: PutError,
    },
    /// A local file to upload cannot be read.
    #[error("cannot read {}: {source}", display_path(path))]
    Source {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The path to upload is not a regular file.
    #[error("cannot put {}: it is {is}", display_path(path))]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What the path is instead, with an article.
        is: &'static str,
    },
    /// The server does not allow this client to change files.
    #[error("{what}: the files of this server are read-only for you")]
    ReadOnly {
        /// What failed.
        what: String,
    },
    /// The folder of the server that a file was to be stored in is missing, or no folder.
    #[error("cannot put {} into {}: {refusal}", display_safe(path), display_safe(folder))]
    ServerFolder {
        /// The local file as the user typed it.
        path: String,
        /// The folder on the server.
        folder: String,
        /// The server's refusal, with a text about the folder.
        refusal: Refusal,
    },
    /// The folder to create exists.
    #[error("cannot make {}: it already exists", display_safe(path))]
    FolderExists {
        /// The folder.
        path: String,
    },
    /// A local file or folder cannot be written.
    #[error("cannot store {}: {source}", display_path(path))]
    Target {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The folder that a download is to be stored in is missing, or no folder.
    #[error("cannot store {}: {source}", display_path(path))]
    OutputFolder {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The partial file of a transfer cannot be removed.
    #[error("cannot remove the partial file of {}: {source}", display_path(path))]
    CleanupFailed {
        /// The final name of the partial file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Some unfinished transfers could not be removed; each failure was reported.
    #[error("some unfinished transfers could not be removed")]
    CleanupIncomplete,
    /// The target exists.
    #[error("{} exists already", display_path(.0))]
    Exists(PathBuf),
    /// Standard output or the terminal cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    /// Some of several items failed; each failure was reported.
    #[error("{failed} of {total} {what}")]
    SomeFailed {
        /// The number of items that failed.
        failed: usize,
        /// The number of all items.
        total: usize,
        /// The items and what happened to them, as in `files did not arrive`.
        what: &'static str,
        /// The common code if all items failed with it.
        code: ErrorCode,
    },
    /// A transfer was interrupted and can be resumed.
    #[error("{error}")]
    Resumable {
        /// Why.
        error: Box<ClientError>,
        /// How much was transferred.
        share: UnfinishedShare,
    },
    /// The program or the transfer was stopped before the work was finished.
    #[error("interrupted")]
    Interrupted,
    /// A call to the system failed.
    #[error("{what}: {source}")]
    System {
        /// What failed.
        what: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

impl ClientError {
    /// The error of a failed stream: a refusal by the server, a busy server, or another failure.
    #[must_use]
    pub fn stream(what: impl Into<String>, error: StreamError) -> Self {
        let what = what.into();
        match error {
            StreamError::Refused(refusal) => Self::refused(what, refusal),
            StreamError::Lost(ConnectionEnd::ClosedByPeer(CloseCode::Busy)) => {
                Self::Busy("Server is busy. Try again later.".to_owned())
            }
            source => Self::Stream { what, source },
        }
    }

    /// The error of a refusal.
    #[must_use]
    pub fn refused(what: impl Into<String>, refusal: Refusal) -> Self {
        if refusal.code == RefusalCode::Busy {
            return Self::Busy(refusal.message);
        }
        Self::Refused { what: what.into(), refusal }
    }

    /// A copy of a refusal; [`Self::Interrupted`] for any other error.
    #[must_use]
    pub(crate) fn clone_refusal(&self) -> Self {
        match self {
            Self::Refused { what, refusal } => {
                Self::Refused { what: what.clone(), refusal: refusal.clone() }
            }
            _ => Self::Interrupted,
        }
    }

    /// The error of an upload to a file that exists on the server and is kept.
    #[must_use]
    pub fn exists_on_server(path: &FilePath) -> Self {
        let refusal = Refusal::new(RefusalCode::Exists, "it exists on the server already");
        Self::refused(format!("cannot put {}", display_safe(path.as_str())), refusal)
    }

    /// Whether the reader of the output has closed the pipe, so that nothing can be reported.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Whether the connection was lost.
    #[must_use]
    pub fn is_lost_connection(&self) -> bool {
        match self {
            Self::Resumable { error, .. } => error.is_lost_connection(),
            Self::Stream { source: StreamError::Lost(_), .. }
            | Self::Get { source: GetError::Stream(StreamError::Lost(_)), .. }
            | Self::Put { source: PutError::Stream(StreamError::Lost(_)), .. } => true,
            _ => false,
        }
    }

    /// Whether dialling again later may help, because the server or the network is unavailable at present. An
    /// untrusted server, or one that refuses the sign-in, is not transient.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Resolve { .. } | Self::Busy(_) => true,
            Self::Refused { refusal, .. } => is_transient(refusal.code),
            Self::Stream { source: StreamError::Lost(ended), .. } => is_connection_loss(ended),
            Self::Stream { source: StreamError::TimedOut(_), .. } => true,
            _ => false,
        }
    }

    /// Whether the server does not know the command, because it is older than this client.
    #[must_use]
    pub fn is_unknown_command(&self) -> bool {
        matches!(self, Self::Refused { refusal, .. } if refusal.code == RefusalCode::UnknownCommand)
    }

    /// Whether another client cannot be reached at present, because it is not connected, does not listen, or has no path.
    #[must_use]
    pub fn is_unreachable_peer(&self) -> bool {
        matches!(self.code(), ErrorCode::NotFound | ErrorCode::Connection | ErrorCode::Busy)
    }

    /// Adds how much of the transfer can be resumed, if anything can.
    #[must_use]
    pub fn with_unfinished_share(self, share: Option<UnfinishedShare>) -> Self {
        match share {
            Some(share) => Self::Resumable { error: Box::new(self), share },
            None => self,
        }
    }
}

/// Whether a refusal is transient, so that the same request may succeed later.
#[must_use]
pub fn is_transient(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::ShuttingDown | RefusalCode::Busy | RefusalCode::RateLimited)
}

/// Whether a connection was lost: the network failed, or the server stopped or dropped the client. A connection that
/// either side closed for another reason was not lost.
#[must_use]
pub fn is_connection_loss(ended: &ConnectionEnd) -> bool {
    match ended {
        ConnectionEnd::TimedOut
        | ConnectionEnd::Reset
        | ConnectionEnd::Refused
        | ConnectionEnd::TooManyGaps => true,
        ConnectionEnd::ClosedByPeer(code) => {
            matches!(
                code,
                CloseCode::ShuttingDown
                    | CloseCode::Busy
                    | CloseCode::TimedOut
                    | CloseCode::SlotLost
            )
        }
        ConnectionEnd::ClosedLocally
        | ConnectionEnd::UnknownCode(_)
        | ConnectionEnd::NoCommonProtocol(_)
        | ConnectionEnd::Failed(_) => false,
    }
}
