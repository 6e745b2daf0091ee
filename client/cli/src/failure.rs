//! The errors shown to users: what failed and why (`Display`), what to do about it (the hint), and the exit code.

mod code;
mod exit;
mod hint;
mod trust_list;

use std::io;
use std::sync::Arc;

use quiver_client::error::InvalidRequest;
use quiver_client::journal::UnfinishedShare;
use quiver_client::peer_store::OfferNumber;
use quiver_client::{ClientError, ErrorCode};
use quiver_control::SteerError;
use quiver_transport::endpoint::EndpointError;
use thiserror::Error;

use crate::config::ConfigError;
pub use exit::Exit;
pub use trust_list::TrustListError;

/// An error shown to the user.
#[derive(Debug, Clone, Error)]
pub enum Failure {
    /// The arguments are invalid.
    #[error("{what}")]
    Usage {
        /// Why they are invalid.
        what: String,
        /// What to type instead.
        hint: Option<String>,
    },
    /// A setting is invalid.
    #[error(transparent)]
    Config(Arc<ConfigError>),
    /// The client library failed.
    #[error(transparent)]
    Client(Arc<ClientError>),
    /// Writing to standard output or the terminal failed.
    #[error("cannot write to standard output: {0}")]
    Output(Arc<io::Error>),
    /// A command line of the prompt failed and may have been meant as a message.
    #[error("{failure}")]
    MaybeMessage {
        /// The line.
        line: String,
        /// The failure of the command.
        failure: Box<Failure>,
    },
    /// A line of standard input failed.
    #[error("line {number}: {failure}")]
    AtLine {
        /// Its number, counted from 1.
        number: u64,
        /// Why.
        failure: Box<Failure>,
    },
    /// Ctrl-C, and how much of the unfinished transfers is kept.
    #[error("interrupted")]
    Interrupted(Option<UnfinishedShare>),
    /// Ctrl-C during something that another command continues.
    #[error("interrupted")]
    Continuable {
        /// How to continue it.
        hint: String,
    },
    /// The files of an accepted offer could not be stored.
    #[error("{error}")]
    Offer {
        /// The offer.
        number: OfferNumber,
        /// Why.
        error: Arc<ClientError>,
    },
    /// The list of known servers was not shown or changed.
    #[error(transparent)]
    TrustList(Arc<TrustListError>),
    /// A transfer of another process, or of this one, was not steered.
    #[error(transparent)]
    Steering(Arc<SteerError>),
    /// Another process has cancelled the transfer; how much of it is kept.
    #[error("the transfer was cancelled by another program")]
    Cancelled(Option<UnfinishedShare>),
    /// SIGTERM, and how much of the unfinished transfers is kept.
    #[error("terminated")]
    Terminated(Option<UnfinishedShare>),
    /// A system call failed that normally succeeds.
    #[error("{what}: {source}")]
    System {
        /// What failed: `cannot ...`.
        what: &'static str,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// A local file that a command writes cannot be written.
    #[error("{what}: {source}")]
    File {
        /// What failed: `cannot ...`.
        what: String,
        /// The system's error.
        source: Arc<io::Error>,
    },
}

impl Failure {
    /// Creates a usage error with a hint what to type instead.
    #[must_use]
    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), hint: Some(hint.into()) }
    }

    /// Creates the error of a system call.
    #[must_use]
    pub fn system(what: &'static str, source: io::Error) -> Self {
        Self::System { what, source: Arc::new(source) }
    }

    /// Creates the error of a local file that a command writes.
    #[must_use]
    pub fn file(what: String, source: io::Error) -> Self {
        Self::File { what, source: Arc::new(source) }
    }

    /// Creates the error of a failed write to standard output.
    #[must_use]
    pub fn output(error: io::Error) -> Self {
        Self::Output(Arc::new(error))
    }

    /// Marks the failure of a line of the prompt that may have been meant as a message: `get well soon` names files
    /// that do not exist.
    #[must_use]
    pub fn in_line(self, line: &str) -> Self {
        // A line that begins so is a command for sure.
        let is_explicit = line.trim_start().starts_with(['/', '@']);
        let is_not_found = !is_explicit
            && match &self {
                Self::Client(error) => match &**error {
                    ClientError::Source { source, .. } => source.kind() == io::ErrorKind::NotFound,
                    error => error.code_of_items() == ErrorCode::NotFound,
                },
                _ => false,
            };
        if is_not_found {
            Self::MaybeMessage { line: line.to_owned(), failure: Box::new(self) }
        } else {
            self
        }
    }

    /// Adds the number of the line of standard input that failed.
    #[must_use]
    pub fn at_line(self, number: u64) -> Self {
        Self::AtLine { number, failure: Box::new(self) }
    }

    /// Whether nothing is reported, because the reader of the output has closed it.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        match self {
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            Self::Client(error) => error.is_broken_pipe(),
            Self::AtLine { failure, .. } => failure.is_silent(),
            _ => false,
        }
    }

    /// Whether writing the output failed, so that nothing more can be printed.
    #[must_use]
    pub fn is_output_failure(&self) -> bool {
        match self {
            Self::Output(_) => true,
            Self::Client(error) => matches!(**error, ClientError::Output(_)),
            _ => false,
        }
    }

    /// Whether the connection was lost.
    #[must_use]
    pub fn is_lost_connection(&self) -> bool {
        match self {
            Self::Client(error) | Self::Offer { error, .. } => error.is_lost_connection(),
            Self::MaybeMessage { failure, .. } | Self::AtLine { failure, .. } => {
                failure.is_lost_connection()
            }
            _ => false,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(Arc::new(error))
    }
}

impl From<InvalidRequest> for Failure {
    fn from(error: InvalidRequest) -> Self {
        ClientError::from(error).into()
    }
}

impl From<SteerError> for Failure {
    fn from(error: SteerError) -> Self {
        Self::Steering(Arc::new(error))
    }
}

impl From<TrustListError> for Failure {
    fn from(error: TrustListError) -> Self {
        Self::TrustList(Arc::new(error))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(Arc::new(error))
    }
}

impl From<EndpointError> for Failure {
    fn from(error: EndpointError) -> Self {
        ClientError::from(error).into()
    }
}

#[cfg(test)]
mod tests;
