//! The exit codes, and which error has which. Says nothing to anybody.

use std::io;

use quiver_protocol::RefusalCode;
use quiver_transport::StreamError;

use super::Failure;
use quiver_client::action::{GetError, PutError};

/// The exit codes; their numbers are documented and do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// None of the others.
    Other = 1,
    /// The command line, or a setting.
    Usage = 2,
    /// Cannot connect, or timed out, or the connection was lost.
    Connection = 3,
    /// The server is not the one that is trusted.
    Trust = 4,
    /// Sign-in refused.
    SignIn = 5,
    /// All slots are taken.
    Busy = 6,
    /// No such file or client.
    NotFound = 7,
    /// A local file or the local disk.
    Disk = 8,
    /// Content failed verification.
    Verification = 9,
    /// Some of several failed.
    Partial = 10,
    /// The other client declined.
    Declined = 11,
    /// Ctrl-C.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

/// The one mapping of the wire's codes to exit codes.
impl From<RefusalCode> for Exit {
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
            | RefusalCode::BadPath
            | RefusalCode::NoSuchClient => Self::NotFound,
            RefusalCode::Changed => Self::Verification,
            RefusalCode::Declined => Self::Declined,
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

impl Failure {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } | Self::Config(_) => Exit::Usage,
            Self::NoTransfers(_)
            | Self::Certificate(_)
            | Self::Identity(_)
            | Self::PasswordFile { .. }
            | Self::SharedPasswordFile(_)
            | Self::Target { .. }
            | Self::Source { .. }
            | Self::NotAFile { .. }
            | Self::Leftover { .. }
            | Self::NotClean
            | Self::Exists(_) => Exit::Disk,
            Self::Resolve { .. } | Self::Unreachable { .. } | Self::Socket(_) => Exit::Connection,
            Self::Untrusted(_) => Exit::Trust,
            Self::Busy(_) => Exit::Busy,
            Self::Refused { refusal, .. } => refusal.code.into(),
            Self::Stream { source, .. } => stream_exit(source),
            Self::Get { source, .. } => match source {
                GetError::Stream(source) => stream_exit(source),
                GetError::Disk(error) => output_exit(error),
                GetError::Mismatch | GetError::Length { .. } => Exit::Verification,
                GetError::OtherFile => Exit::Other,
            },
            Self::Put { source, .. } => match source {
                PutError::Stream(source) => stream_exit(source),
                PutError::Source(_) => Exit::Disk,
                PutError::Changed | PutError::WrongSize | PutError::Mismatch => Exit::Verification,
            },
            Self::ReadOnly { .. } | Self::AlreadyThere { .. } => Exit::Other,
            Self::Output(error) => output_exit(error),
            Self::Several { exit, .. } => *exit,
            Self::Line { failure, .. } | Self::GoesOn { failure, .. } => failure.exit(),
            Self::Interrupted => Exit::Interrupted,
            Self::Terminated => Exit::Terminated,
            Self::System { .. } => Exit::Other,
        }
    }
}

fn stream_exit(error: &StreamError) -> Exit {
    match error {
        StreamError::Refused(refusal) => refusal.code.into(),
        StreamError::Silent(_) | StreamError::Unread(_) | StreamError::Lost(_) => Exit::Connection,
        StreamError::Frame(_) | StreamError::Reset | StreamError::Stopped => Exit::Other,
    }
}

/// Who closed the pipe wants no more; everything else is a disk.
fn output_exit(error: &io::Error) -> Exit {
    if error.kind() == io::ErrorKind::BrokenPipe { Exit::Other } else { Exit::Disk }
}
