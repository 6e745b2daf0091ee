//! Every error of the client: what failed and why (its `Display`), and a stable code. Texts from other machines
//! are escaped here, once. What to do about an error, in words for people, is said by the interface.

mod code;
mod failures;
mod invalid;
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
pub use untrusted::UntrustedServer;

/// An error for a person.
#[derive(Debug, Error)]
pub enum ClientError {
    /// What was asked for cannot be done.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// Nothing can be found of earlier transfers.
    #[error("there is no folder with unfinished transfers: {0}")]
    NoJournalFolder(FolderError),
    /// The file that `--cert` names.
    #[error("{0}")]
    Certificate(IdentityError),
    /// The client's own key and certificate.
    #[error("{0}")]
    Identity(IdentityError),
    /// The file that `--password-file` names.
    #[error("cannot read {}: {source}", display_path(path))]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The password's file is open to others.
    #[error("{} can be read by other users", display_path(.0))]
    SharedPasswordFile(PathBuf),
    /// No socket could be opened.
    #[error("{0}")]
    Socket(#[from] EndpointError),
    /// The host's name leads nowhere.
    #[error("cannot find {host}: {why}")]
    Resolve {
        /// The host.
        host: String,
        /// What the resolver said.
        why: String,
    },
    /// No address of the server let a connection come about.
    #[error("cannot connect to {server}: {why}")]
    Unreachable {
        /// The server.
        server: String,
        /// Every address with its reason.
        why: String,
    },
    /// The server is not to be believed, or nobody said so far that it is.
    #[error(transparent)]
    Untrusted(#[from] UntrustedServer),
    /// All slots are taken; the server's words.
    #[error("{}", display_remark(.0))]
    Busy(String),
    /// The server refused.
    #[error("{what}: {refusal}")]
    Refused {
        /// What was asked for.
        what: String,
        /// The refusal.
        refusal: Refusal,
    },
    /// The conversation with the server broke off.
    #[error("{what}: {source}")]
    Stream {
        /// What it was about.
        what: String,
        /// Why.
        source: StreamError,
    },
    /// A file did not arrive.
    #[error("cannot get {}: {source}", display_safe(path))]
    Get {
        /// What was asked for.
        path: String,
        /// Why.
        source: GetError,
        /// Where else than in a file the content went, before it was verified.
        streamed: bool,
    },
    /// A file was not stored on the server.
    #[error("cannot put {}: {source}", display_safe(path))]
    Put {
        /// As it was typed.
        path: String,
        /// Why.
        source: PutError,
    },
    /// A file that is to be sent cannot be read.
    #[error("cannot read {}: {source}", display_path(path))]
    Source {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is to be sent is no regular file.
    #[error("cannot put {}: it is {is}", display_path(path))]
    NotAFile {
        /// What was named.
        path: PathBuf,
        /// What it is, with its article.
        is: &'static str,
    },
    /// The server lets this client change nothing.
    #[error("{what}: this server takes no uploads from you")]
    ReadOnly {
        /// What was to be done.
        what: String,
    },
    /// A folder that was to be made stands there.
    #[error("cannot make {}: it is already there", display_safe(path))]
    FolderExists {
        /// The folder.
        path: String,
    },
    /// A file cannot be stored where it was to be.
    #[error("cannot store {}: {source}", display_path(path))]
    Target {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is left of a transfer cannot be removed.
    #[error("cannot remove what is left of {}: {source}", display_path(path))]
    CleanupFailed {
        /// The file it was to become.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Some of it could not be removed; each was reported.
    #[error("not all that is left could be removed")]
    CleanupIncomplete,
    /// Something stands under the name.
    #[error("{} exists already", display_path(.0))]
    Exists(PathBuf),
    /// Standard output or the terminal does not take what is to be printed.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    /// Some of several files failed; each was reported.
    #[error("{failed} of {asked} {what}")]
    SomeFailed {
        /// How many failed.
        failed: usize,
        /// Of how many.
        asked: usize,
        /// What is said of them.
        what: &'static str,
        /// The code of all of them, where none arrived.
        code: ErrorCode,
    },
    /// A transfer broke off, and what is here of it is kept.
    #[error("{error}")]
    Resumable {
        /// Why.
        error: Box<ClientError>,
        /// How much is here.
        share: UnfinishedShare,
    },
    /// The program ends before it was done.
    #[error("interrupted")]
    Interrupted,
    /// The system did not do what it always does.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

impl ClientError {
    /// A conversation that broke off, or that the server refused.
    #[must_use]
    pub fn stream(what: impl Into<String>, error: StreamError) -> Self {
        let what = what.into();
        match error {
            StreamError::Refused(refusal) => Self::refused(what, refusal),
            StreamError::Lost(ConnectionEnd::Closed(CloseCode::Busy)) => {
                Self::Busy("Server is busy. Try again later.".to_owned())
            }
            source => Self::Stream { what, source },
        }
    }

    /// A refusal.
    #[must_use]
    pub fn refused(what: impl Into<String>, refusal: Refusal) -> Self {
        if refusal.code == RefusalCode::Busy {
            return Self::Busy(refusal.message);
        }
        Self::Refused { what: what.into(), refusal }
    }

    /// The same refusal once more.
    #[must_use]
    pub(crate) fn refusal_again(&self) -> Self {
        match self {
            Self::Refused { what, refusal } => {
                Self::Refused { what: what.clone(), refusal: refusal.clone() }
            }
            _ => Self::Interrupted,
        }
    }

    /// A file that the person wants to keep on the server.
    #[must_use]
    pub fn kept(path: &FilePath) -> Self {
        let refusal = Refusal::new(RefusalCode::Exists, "it exists on the server already");
        Self::refused(format!("cannot put {}", display_safe(path.as_str())), refusal)
    }

    /// Whether there is nothing to say: the reader of the output has gone.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Whether the connection is gone, so that nothing more can be asked on it.
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

    /// Whether dialling again later may help: the server, or the way to it, is not there just now. One
    /// that is there and not believed, or that wants something else, is no matter of time.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Resolve { .. } | Self::Busy(_) => true,
            Self::Refused { refusal, .. } => is_passing(refusal.code),
            Self::Stream { source: StreamError::Lost(ended), .. } => is_loss(ended),
            Self::Stream { source: StreamError::Silent(_), .. } => true,
            _ => false,
        }
    }

    /// The same, with how much is kept, where something is.
    #[must_use]
    pub fn resumable(self, share: Option<UnfinishedShare>) -> Self {
        match share {
            Some(share) => Self::Resumable { error: Box::new(self), share },
            None => self,
        }
    }
}

/// Whether a refusal is one that passes.
#[must_use]
pub fn is_passing(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::ShuttingDown | RefusalCode::Busy | RefusalCode::RateLimited)
}

/// Whether a connection ended for want of a network, or of a server that runs.
#[must_use]
pub fn is_loss(ended: &ConnectionEnd) -> bool {
    match ended {
        ConnectionEnd::Silent | ConnectionEnd::Reset | ConnectionEnd::Refused => true,
        ConnectionEnd::Closed(code) => {
            matches!(
                code,
                CloseCode::ShuttingDown
                    | CloseCode::Busy
                    | CloseCode::TimedOut
                    | CloseCode::SlotLost
            )
        }
        ConnectionEnd::Here
        | ConnectionEnd::Unknown(_)
        | ConnectionEnd::NoCommonProtocol(_)
        | ConnectionEnd::Failed(_) => false,
    }
}
