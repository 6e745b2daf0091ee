//! Every error a user can meet: what failed and why (its `Display`), what to do about it (its hint), and its exit
//! code.

mod exit;
mod hint;

use std::io;
use std::sync::Arc;

use quiver_client::error::InvalidRequest;
use quiver_client::journal::UnfinishedShare;
use quiver_client::{ClientError, ErrorCode};
use quiver_transport::endpoint::EndpointError;
use thiserror::Error;

use crate::config::ConfigError;
pub use exit::Exit;

/// An error for a person.
#[derive(Debug, Clone, Error)]
pub enum Failure {
    /// What was typed does not fit.
    #[error("{what}")]
    Usage {
        /// What does not fit.
        what: String,
        /// What to type instead.
        hint: Option<String>,
    },
    /// A setting is wrong.
    #[error(transparent)]
    Config(Arc<ConfigError>),
    /// The client says so.
    #[error(transparent)]
    Client(Arc<ClientError>),
    /// Standard output or the terminal does not take what is to be printed.
    #[error("cannot write to standard output: {0}")]
    Output(Arc<io::Error>),
    /// A line at the prompt failed that may have been meant as a message.
    #[error("{failure}")]
    Line {
        /// The line.
        line: String,
        /// Why it failed.
        failure: Box<Failure>,
    },
    /// Ctrl-C, and how much is kept of what was begun.
    #[error("interrupted")]
    Interrupted(Option<UnfinishedShare>),
    /// SIGTERM, and how much is kept of what was begun.
    #[error("terminated")]
    Terminated(Option<UnfinishedShare>),
    /// The system did not do what it always does.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What it said.
        source: Arc<io::Error>,
    },
}

impl Failure {
    /// A usage error with what to type instead.
    #[must_use]
    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), hint: Some(hint.into()) }
    }

    /// The system did not do what it always does.
    #[must_use]
    pub fn system(what: &'static str, source: io::Error) -> Self {
        Self::System { what, source: Arc::new(source) }
    }

    /// What is to be printed was not taken.
    #[must_use]
    pub fn output(error: io::Error) -> Self {
        Self::Output(Arc::new(error))
    }

    /// The failure of a line. `get well soon` finds no file; that it was one is only a guess.
    #[must_use]
    pub fn of_line(self, line: &str) -> Self {
        let finds_nothing = match &self {
            Self::Client(error) => match &**error {
                ClientError::Source { source, .. } => source.kind() == io::ErrorKind::NotFound,
                error => error.code() == ErrorCode::NotFound,
            },
            _ => false,
        };
        if finds_nothing {
            Self::Line { line: line.to_owned(), failure: Box::new(self) }
        } else {
            self
        }
    }

    /// Whether there is nothing to say: the reader of the output has gone.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        match self {
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            Self::Client(error) => error.is_broken_pipe(),
            _ => false,
        }
    }

    /// Whether nothing can be printed any more.
    #[must_use]
    pub fn is_output(&self) -> bool {
        match self {
            Self::Output(_) => true,
            Self::Client(error) => matches!(**error, ClientError::Output(_)),
            _ => false,
        }
    }

    /// Whether the connection is gone, so that nothing more can be asked on it.
    #[must_use]
    pub fn is_lost_connection(&self) -> bool {
        match self {
            Self::Client(error) => error.is_lost_connection(),
            Self::Line { failure, .. } => failure.is_lost_connection(),
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
