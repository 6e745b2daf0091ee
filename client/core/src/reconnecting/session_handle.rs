//! What a transfer needs from a session: its connection, and how its failures count.

use std::sync::Arc;
use std::time::Duration;

use quiver_transport::{Channel, ConnectionEnd, StreamError};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::MoveSignal;
use crate::connection::Session;
use crate::error::{is_connection_loss, is_transient};

/// How long the loss of a connection may follow the failure of one of its streams.
const LOSS_DELAY: Duration = Duration::from_millis(500);

/// What a transfer needs from a session.
#[derive(Debug, Clone)]
pub(crate) struct SessionHandle {
    /// The connection, for commands.
    pub(crate) connection: Channel,
    /// Idle timeout of each command.
    pub(crate) timeout: Duration,
    /// One permit for each content stream that may be open.
    pub(crate) content_permits: Arc<Semaphore>,
    /// Given after `ReconnectingSession::handle` has begun to return a better connection to the same peer. Running
    /// downloads then request the rest there.
    pub(crate) move_signal: MoveSignal,
    /// Whether the other side is another client.
    is_with_peer: bool,
}

impl SessionHandle {
    /// The session with another client over a connection.
    pub(crate) fn with_peer(
        connection: Channel,
        timeout: Duration,
        content_permits: Arc<Semaphore>,
        move_signal: MoveSignal,
    ) -> Self {
        Self { connection, timeout, content_permits, move_signal, is_with_peer: true }
    }

    pub(super) fn new(session: &Session) -> Self {
        Self {
            connection: session.connection.clone(),
            timeout: session.timeout,
            content_permits: session.content_permits.clone(),
            move_signal: MoveSignal::default(),
            is_with_peer: false,
        }
    }
}

impl SessionHandle {
    /// Returns the error in `Ok` if it is the loss of the connection or a transient refusal, and in `Err` otherwise.
    pub(super) async fn connection_loss(
        &self,
        error: StreamError,
    ) -> Result<StreamError, StreamError> {
        match error {
            StreamError::Lost(ended) if self.is_loss(&ended) => Ok(StreamError::Lost(ended)),
            // This side has closed a path that another one supersedes.
            StreamError::Lost(ConnectionEnd::ClosedLocally) if self.move_signal.is_given() => {
                Ok(StreamError::Lost(ConnectionEnd::TimedOut))
            }
            StreamError::Refused(refusal) if is_transient(refusal.code) => {
                Ok(StreamError::Refused(refusal))
            }
            StreamError::Reset | StreamError::Stopped | StreamError::Frame(_) => {
                // A server that stops may end its streams before its connections.
                match timeout(LOSS_DELAY, self.connection.closed()).await {
                    Ok(ended) if self.is_loss(&ended.clone().into()) => {
                        Ok(StreamError::Lost(ended.into()))
                    }
                    _ => Err(error),
                }
            }
            error => Err(error),
        }
    }

    /// Whether a connection was lost. This side closes one with another client itself when its relay has ended.
    fn is_loss(&self, ended: &ConnectionEnd) -> bool {
        is_connection_loss(ended) || (self.is_with_peer && *ended == ConnectionEnd::ClosedLocally)
    }

    /// Checks that an error is the loss of the connection or a transient refusal, so that the operation may be
    /// retried on another connection.
    ///
    /// # Errors
    /// The error if it is neither.
    pub(crate) async fn check_connection_loss(
        &self,
        error: StreamError,
    ) -> Result<(), StreamError> {
        self.connection_loss(error).await.map(drop)
    }
}
