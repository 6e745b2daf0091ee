//! Why a command failed, and the refusal that tells the client.

use std::fmt;

use quiver_protocol::{Refusal, RefusalCode};
use quiver_transport::StreamError;
use tracing::error;

use crate::files::FilesError;
use crate::internal_failure;
use crate::introductions::{IntroductionEnd, UnknownIntroduction};
use crate::metrics::Metrics;

/// Why a command failed.
#[derive(Debug)]
pub(super) enum CommandError {
    /// The request is refused; the refusal tells the client why.
    Refused(Refusal),
    /// An operation on the served folder failed; the client is told why.
    Files(FilesError),
    /// The stream failed: the client cannot be told.
    Stream(StreamError),
}

impl CommandError {
    /// The client interrupted the command: with an unexpected frame, which is refused, or by ending
    /// the stream.
    pub(super) fn from_interruption(error: StreamError) -> Self {
        match error {
            StreamError::Frame(error) => Self::Refused(error.into()),
            error => Self::Stream(error),
        }
    }

    /// Turns the error into a refusal now, for a command that logs the refusal.
    pub(super) fn from_files(metrics: &Metrics, error: FilesError) -> Self {
        Self::Refused(files_refusal(metrics, error))
    }
}

/// The refusal for an error of the served folder. A failure of the server itself goes to the log,
/// and the client is told only its id.
pub(super) fn files_refusal(metrics: &Metrics, error: FilesError) -> Refusal {
    let code = match &error {
        FilesError::NotFound => RefusalCode::NotFound,
        FilesError::NotAFile => RefusalCode::NotAFile,
        FilesError::NotAFolder => RefusalCode::NotAFolder,
        FilesError::NotReadable
        | FilesError::SymbolicLink
        | FilesError::NotWritable
        | FilesError::ContainsLinks
        | FilesError::OtherDisk
        | FilesError::UploadsDisabled => RefusalCode::Forbidden,
        FilesError::ChangedMeanwhile | FilesError::Cancelled => RefusalCode::Changed,
        FilesError::ReservedName | FilesError::MoveIntoItself => RefusalCode::BadPath,
        FilesError::AlreadyExists => RefusalCode::Exists,
        FilesError::NotEmpty => RefusalCode::NotEmpty,
        FilesError::TooLarge { .. }
        | FilesError::TooManyEntries { .. }
        | FilesError::FileSizeLimit
        | FilesError::UnknownSizeTooLarge { .. } => RefusalCode::TooLarge,
        FilesError::TooManySpools => RefusalCode::RateLimited,
        FilesError::DiskFull | FilesError::KeptFree { .. } | FilesError::QuotaExceeded { .. } => {
            RefusalCode::NoSpace
        }
        FilesError::SpoolFailed(_) => {
            return internal_failure::report(metrics, "file access", &error);
        }
        FilesError::StateDiskFull(reason) => {
            error!("cannot record who stores what: {reason}");
            RefusalCode::NoSpace
        }
        FilesError::Disk(reason) => {
            return internal_failure::report(metrics, "file access", reason);
        }
    };
    Refusal::new(code, error.to_string())
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Files(error) => error.fmt(f),
            Self::Stream(error) => error.fmt(f),
        }
    }
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<UnknownIntroduction> for CommandError {
    fn from(error: UnknownIntroduction) -> Self {
        Self::Refused(error.into())
    }
}

impl From<IntroductionEnd> for CommandError {
    fn from(error: IntroductionEnd) -> Self {
        match error {
            IntroductionEnd::Unknown(error) => error.into(),
            IntroductionEnd::Declined => {
                Refusal::new(RefusalCode::Declined, error.to_string()).into()
            }
        }
    }
}

impl From<UnknownIntroduction> for Refusal {
    fn from(error: UnknownIntroduction) -> Self {
        Self::new(RefusalCode::NotFound, error.to_string())
    }
}

impl From<FilesError> for CommandError {
    fn from(error: FilesError) -> Self {
        Self::Files(error)
    }
}

impl From<StreamError> for CommandError {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}
