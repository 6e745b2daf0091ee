//! Why a command has no regular end, and what the client is told of it.

use std::fmt;

use quiver_protocol::{Refusal, RefusalCode};
use quiver_transport::StreamError;
use tracing::error;

use crate::files::FilesError;
use crate::internal_failure;
use crate::metrics::Metrics;

/// Why a command has no regular end.
#[derive(Debug)]
pub(super) enum CommandError {
    /// The client asked for what it cannot have, and is told why.
    Refused(Refusal),
    /// The same, of the served folder.
    Files(FilesError),
    /// The stream is gone: nothing can be told.
    Stream(StreamError),
}

impl CommandError {
    /// A frame where the client had nothing to say is refused; a reset ends the command.
    pub(super) fn out_of_turn(error: StreamError) -> Self {
        match error {
            StreamError::Frame(error) => Self::Refused(error.into()),
            error => Self::Stream(error),
        }
    }

    /// A refusal at once, for a command that logs what the client is told.
    pub(super) fn of_files(metrics: &Metrics, error: FilesError) -> Self {
        Self::Refused(refusal_of_files(metrics, error))
    }
}

/// The client is told in its own terms; a failure of the server itself goes to the log.
pub(super) fn refusal_of_files(metrics: &Metrics, error: FilesError) -> Refusal {
    let code = match &error {
        FilesError::NotFound => RefusalCode::NotFound,
        FilesError::NotAFile => RefusalCode::NotAFile,
        FilesError::NotAFolder => RefusalCode::NotAFolder,
        FilesError::Forbidden | FilesError::Link | FilesError::ReadOnly | FilesError::NoUploads => {
            RefusalCode::Forbidden
        }
        FilesError::PartName | FilesError::Inside => RefusalCode::BadPath,
        FilesError::Exists => RefusalCode::Exists,
        FilesError::NotEmpty => RefusalCode::NotEmpty,
        FilesError::TooLarge { .. } | FilesError::DiskLimit | FilesError::NoLength { .. } => {
            RefusalCode::TooLarge
        }
        FilesError::Spools => RefusalCode::RateLimited,
        FilesError::NoSpace | FilesError::Quota { .. } => RefusalCode::NoSpace,
        FilesError::Spool(_) => {
            return internal_failure::report(metrics, "file access", &error);
        }
        FilesError::StateFull(reason) => {
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
