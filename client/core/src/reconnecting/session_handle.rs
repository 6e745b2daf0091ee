//! What a transfer needs from a session: its connection, and how its failures count.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quiver_protocol::CloseCode;
use quiver_transport::role::CLIENT_CONTENT_STREAMS;
use quiver_transport::{Channel, ConnectionEnd, StreamError, close};
use tokio::sync::{Semaphore, watch};
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
    /// Set before this client closes the connection because another one has replaced it.
    is_replaced: Arc<AtomicBool>,
    /// The number of operations that could not continue on another connection.
    bound_operations: Arc<watch::Sender<usize>>,
}

/// A session for an operation that cannot continue on another connection. While it exists, a silent connection is not
/// replaced.
#[derive(Debug)]
pub(crate) struct BoundHandle(SessionHandle);

impl SessionHandle {
    /// The session with another client over a connection.
    pub(crate) fn with_peer(
        connection: Channel,
        timeout: Duration,
        content_permits: Arc<Semaphore>,
        move_signal: MoveSignal,
    ) -> Self {
        Self {
            connection,
            timeout,
            content_permits,
            move_signal,
            is_with_peer: true,
            is_replaced: Arc::default(),
            bound_operations: Arc::default(),
        }
    }

    pub(super) fn new(session: &Session) -> Self {
        Self {
            connection: session.connection.clone(),
            timeout: session.timeout,
            content_permits: session.content_permits.clone(),
            move_signal: MoveSignal::default(),
            is_with_peer: false,
            is_replaced: Arc::default(),
            bound_operations: Arc::default(),
        }
    }

    /// Keeps the connection for an operation that cannot continue on another one.
    pub(crate) fn bind(self) -> BoundHandle {
        self.bound_operations.send_modify(|count| *count += 1);
        BoundHandle(self)
    }

    /// Whether no operation keeps the connection.
    pub(super) fn is_replaceable(&self) -> bool {
        *self.bound_operations.borrow() == 0
    }

    /// Waits until no operation keeps the connection.
    pub(super) async fn wait_until_replaceable(&self) {
        // Its sender is in this handle.
        let _ = self.bound_operations.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Closes the connection, which was silent, because another one has replaced it. Its operations may be retried.
    pub(super) fn close_replaced(&self) {
        self.is_replaced.store(true, Ordering::Release);
        close(&self.connection, CloseCode::Goodbye);
    }

    /// Whether another connection has replaced this one while it was silent.
    pub(crate) fn is_replaced(&self) -> bool {
        self.is_replaced.load(Ordering::Acquire)
    }

    /// Whether content is being transferred, or about to be.
    pub(super) fn has_content(&self) -> bool {
        self.content_permits.available_permits() < CLIENT_CONTENT_STREAMS as usize
    }
}

impl SessionHandle {
    /// Returns the error in `Ok` if it is the loss of the connection or a transient refusal, and in `Err` otherwise.
    pub(super) async fn connection_loss(
        &self,
        error: StreamError,
    ) -> Result<StreamError, StreamError> {
        // Either way, this side has closed it because the other side was silent.
        let closes_silent = self.is_with_peer || self.is_replaced();
        match error {
            StreamError::Lost(ended) => match loss(&ended, closes_silent) {
                Some(loss) => Ok(StreamError::Lost(loss)),
                None => Err(StreamError::Lost(ended)),
            },
            StreamError::Refused(refusal) if is_transient(refusal.code) => {
                Ok(StreamError::Refused(refusal))
            }
            StreamError::Reset | StreamError::Stopped | StreamError::Frame(_) => {
                // A server that stops may end its streams before its connections.
                let closed = timeout(LOSS_DELAY, self.connection.closed()).await;
                let loss = closed.ok().and_then(|ended| loss(&ended.into(), closes_silent));
                loss.map(StreamError::Lost).ok_or(error)
            }
            error => Err(error),
        }
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

/// How a connection was lost; `None` if it was not. This side closes one with another client itself when its relay has
/// ended or a direct one is silent, and one with a server that was replaced (`closes_silent`), which a person need not know.
/// The other client closes one that was replaced.
fn loss(ended: &ConnectionEnd, closes_silent: bool) -> Option<ConnectionEnd> {
    match ended {
        ConnectionEnd::ClosedLocally if closes_silent => Some(ConnectionEnd::TimedOut),
        ConnectionEnd::ClosedByPeer(CloseCode::Superseded) if closes_silent => Some(ended.clone()),
        ended => is_connection_loss(ended).then(|| ended.clone()),
    }
}

impl Deref for BoundHandle {
    type Target = SessionHandle;

    fn deref(&self) -> &SessionHandle {
        &self.0
    }
}

impl Drop for BoundHandle {
    fn drop(&mut self) {
        self.0.bound_operations.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_with_a_client_continues_after_its_connection_was_replaced() {
        let replaced = ConnectionEnd::ClosedByPeer(CloseCode::Superseded);
        assert_eq!(loss(&replaced, true), Some(replaced.clone()));
        assert_eq!(loss(&replaced, false), None);
        let goodbye = ConnectionEnd::ClosedByPeer(CloseCode::Goodbye);
        assert_eq!(loss(&goodbye, true), None);
    }

    #[test]
    fn a_connection_that_is_closed_here_because_its_relay_ended_counts_as_silent() {
        let ended = ConnectionEnd::ClosedLocally;
        assert_eq!(loss(&ended, true), Some(ConnectionEnd::TimedOut));
        assert_eq!(loss(&ended, false), None);
    }
}
