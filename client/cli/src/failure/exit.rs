//! The exit codes, and the mapping of errors to them. Prints nothing.

use quiver_client::ErrorCode;
use quiver_control::SteerError;

use super::{Failure, TrustListError};

/// The exit codes. Their numbers are documented and do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Any other failure.
    Other = 1,
    /// An invalid command line or setting.
    Usage = 2,
    /// Cannot connect, or timed out, or the connection was lost.
    Connection = 3,
    /// The server's certificate is not trusted.
    Trust = 4,
    /// The server refused the sign-in.
    SignIn = 5,
    /// All slots of the server are taken.
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
    /// The reader of standard output has closed it; the code of a program that SIGPIPE has ended.
    BrokenPipe = 141,
    /// SIGTERM.
    Terminated = 143,
}

/// The only mapping of the client's error codes to exit codes.
impl From<ErrorCode> for Exit {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::InvalidRequest => Self::Usage,
            ErrorCode::Connection => Self::Connection,
            ErrorCode::Untrusted => Self::Trust,
            ErrorCode::SignIn => Self::SignIn,
            ErrorCode::Busy => Self::Busy,
            ErrorCode::NotFound => Self::NotFound,
            ErrorCode::LocalDisk => Self::Disk,
            ErrorCode::Verification => Self::Verification,
            ErrorCode::Partial => Self::Partial,
            ErrorCode::Declined => Self::Declined,
            ErrorCode::Interrupted => Self::Interrupted,
            ErrorCode::Other => Self::Other,
        }
    }
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.is_silent() {
            return Exit::BrokenPipe;
        }
        match self {
            Self::Usage { .. } | Self::Config(_) => Exit::Usage,
            Self::Client(error) | Self::Offer { error, .. } => error.code().into(),
            Self::Output(_) => Exit::Disk,
            Self::MaybeMessage { failure, .. } | Self::AtLine { failure, .. } => failure.exit(),
            Self::Interrupted(_) | Self::Cancelled(_) | Self::Continuable { .. } => {
                Exit::Interrupted
            }
            Self::TrustList(error) => match **error {
                TrustListError::Unknown(_) => Exit::NotFound,
                TrustListError::Folder(_) | TrustListError::File(_) => Exit::Disk,
            },
            Self::Steering(error) => match &**error {
                SteerError::Unknown(_) => Exit::NotFound,
                SteerError::Refused { failure, .. } => match failure.code.as_ref() {
                    // It has ended meanwhile.
                    "not_found" => Exit::NotFound,
                    "connection" => Exit::Connection,
                    _ => Exit::Other,
                },
                SteerError::System(_) => Exit::Other,
            },
            Self::Terminated(_) => Exit::Terminated,
            Self::System { .. } => Exit::Other,
            Self::File { .. } => Exit::Disk,
        }
    }
}
