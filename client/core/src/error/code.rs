//! The stable code of each error, for programs and interfaces. Not shown to users.

use std::io;

use quiver_protocol::{Refusal, RefusalCode};
use quiver_transport::StreamError;
use serde::{Serialize, Serializer};

use super::ClientError;
use crate::exchange::{GetError, PutError};

/// The kind of an error. The texts of [`as_str`](Self::as_str) do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request is invalid, such as one with a path that breaks the rules.
    InvalidRequest,
    /// The client could not connect, a request timed out, or the connection was lost.
    Connection,
    /// The server is not trusted.
    Untrusted,
    /// The server refused the sign-in.
    SignIn,
    /// All slots are taken.
    Busy,
    /// There is no such file or client, or it is of another kind.
    NotFound,
    /// A local file or the local disk failed.
    LocalDisk,
    /// Content failed verification.
    Verification,
    /// Some of several items failed.
    Partial,
    /// The other client declined.
    Declined,
    /// The program or the transfer was stopped.
    Interrupted,
    /// Any other error.
    Other,
}

impl ErrorCode {
    /// The code as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Connection => "connection",
            Self::Untrusted => "untrusted",
            Self::SignIn => "sign_in",
            Self::Busy => "busy",
            Self::NotFound => "not_found",
            Self::LocalDisk => "local_disk",
            Self::Verification => "verification",
            Self::Partial => "partial",
            Self::Declined => "declined",
            Self::Interrupted => "interrupted",
            Self::Other => "other",
        }
    }

    /// Whether the cause is the connection or this machine, rather than one of several items.
    fn concerns_all_items(self) -> bool {
        match self {
            Self::Connection
            | Self::Untrusted
            | Self::SignIn
            | Self::Busy
            | Self::LocalDisk
            | Self::Interrupted => true,
            Self::InvalidRequest
            | Self::NotFound
            | Self::Verification
            | Self::Partial
            | Self::Declined
            | Self::Other => false,
        }
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The only mapping of the wire's codes.
impl From<RefusalCode> for ErrorCode {
    fn from(code: RefusalCode) -> Self {
        match code {
            RefusalCode::Busy => Self::Busy,
            RefusalCode::NameTaken
            | RefusalCode::BadName
            | RefusalCode::SignInFailed
            | RefusalCode::SignInRequired => Self::SignIn,
            RefusalCode::NotFound
            | RefusalCode::NotAFile
            | RefusalCode::NotAFolder
            | RefusalCode::NoSuchClient => Self::NotFound,
            RefusalCode::BadPath => Self::InvalidRequest,
            RefusalCode::Changed => Self::Verification,
            RefusalCode::Declined => Self::Declined,
            RefusalCode::NotReachable | RefusalCode::NoRelay => Self::Connection,
            RefusalCode::BadRequest
            | RefusalCode::UnknownCommand
            | RefusalCode::UnsupportedVersion
            | RefusalCode::Forbidden
            | RefusalCode::TooLarge
            | RefusalCode::NoSpace
            | RefusalCode::RateLimited
            | RefusalCode::ShuttingDown
            | RefusalCode::Internal
            | RefusalCode::Exists
            | RefusalCode::NotEmpty
            | RefusalCode::Unknown => Self::Other,
        }
    }
}

impl ClientError {
    /// The error's stable code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::InvalidRequest,
            Self::NoJournalFolder(_)
            | Self::Certificate(_)
            | Self::Identity(_)
            | Self::PasswordFile { .. }
            | Self::SharedPasswordFile(_)
            | Self::OutputFolder { .. }
            | Self::CleanupFailed { .. }
            | Self::CleanupIncomplete => ErrorCode::LocalDisk,
            // As for a file that exists.
            Self::Target { source, .. } if source.kind() == io::ErrorKind::IsADirectory => {
                ErrorCode::Other
            }
            Self::Source { source, .. }
                if matches!(
                    source.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                ErrorCode::NotFound
            }
            Self::Target { .. } | Self::Source { .. } => ErrorCode::LocalDisk,
            // As the server's refusals that say the same.
            Self::NotAFile { .. } => ErrorCode::NotFound,
            Self::Resolve { .. } | Self::Unreachable { .. } | Self::Socket(_) => {
                ErrorCode::Connection
            }
            Self::Untrusted(_) => ErrorCode::Untrusted,
            Self::Peer(error) => error.code(),
            Self::Busy(_) => ErrorCode::Busy,
            Self::Refused { refusal, .. } | Self::ServerFolder { refusal, .. } => {
                refusal.code.into()
            }
            Self::Stream { source, .. } => stream_code(source),
            Self::Get { source, .. } => match source {
                GetError::Stream(source) => stream_code(source),
                GetError::Disk(error) => output_code(error),
                GetError::Mismatch | GetError::Length { .. } => ErrorCode::Verification,
                GetError::OtherFile | GetError::TooLarge { .. } => ErrorCode::Other,
            },
            Self::Put { source, .. } => match source {
                PutError::Stream(source) => stream_code(source),
                PutError::Source(_) => ErrorCode::LocalDisk,
                PutError::Changed | PutError::WrongSize | PutError::Mismatch => {
                    ErrorCode::Verification
                }
            },
            Self::ReadOnly { .. }
            | Self::FolderExists { .. }
            | Self::Exists(_)
            | Self::System { .. } => ErrorCode::Other,
            Self::Output(error) => output_code(error),
            Self::SomeFailed { code, .. } if code.concerns_all_items() => *code,
            Self::SomeFailed { .. } => ErrorCode::Partial,
            Self::Resumable { error, .. } => error.code(),
            Self::Interrupted => ErrorCode::Interrupted,
        }
    }

    /// The server's refusal, if that is the error.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        let stream = match self {
            Self::Refused { refusal, .. } | Self::ServerFolder { refusal, .. } => {
                return Some(refusal);
            }
            Self::Stream { source, .. }
            | Self::Get { source: GetError::Stream(source), .. }
            | Self::Put { source: PutError::Stream(source), .. } => source,
            Self::Resumable { error, .. } => return error.refusal(),
            _ => return None,
        };
        match stream {
            StreamError::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// The code of each failed item if all of several failed with one; otherwise as [`code`](Self::code).
    #[must_use]
    pub fn code_of_items(&self) -> ErrorCode {
        match self {
            Self::SomeFailed { code, .. } => *code,
            Self::Resumable { error, .. } => error.code_of_items(),
            error => error.code(),
        }
    }
}

pub(super) fn stream_code(error: &StreamError) -> ErrorCode {
    match error {
        StreamError::Refused(refusal) => refusal.code.into(),
        StreamError::TimedOut(_) | StreamError::WriteTimedOut(_) | StreamError::Lost(_) => {
            ErrorCode::Connection
        }
        StreamError::Frame(_) | StreamError::Reset | StreamError::Stopped => ErrorCode::Other,
    }
}

/// A closed pipe is not an error of a disk; every other failure to write is.
fn output_code(error: &io::Error) -> ErrorCode {
    if error.kind() == io::ErrorKind::BrokenPipe { ErrorCode::Other } else { ErrorCode::LocalDisk }
}
