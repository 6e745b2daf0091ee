//! The only retry loop: runs an operation again on the next connection after a loss, until a deadline.

use std::time::Duration;

use quiver_transport::{Connection, ConnectionEnd, StreamError};
use tokio::time::sleep;
use tracing::debug;

use super::{ReconnectingSession, RetryDeadline, SessionHandle};
use crate::error::ClientError;
use crate::notice::Notice;
use crate::reporter::Reporter;
use crate::transfers::{Transfer, TransferState};

/// The longest pause between two attempts to reconnect to a server. An attempt dials all the time, so a server is reached
/// soon after its network is back.
pub(crate) const LONGEST_SERVER_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two attempts to reach another client: each takes one of the 60 introductions that a client may
/// ask its server for in a minute.
const LONGEST_PEER_PAUSE: Duration = Duration::from_secs(2);

impl ReconnectingSession {
    /// Runs an operation on the session. Reconnects and retries while the operation fails because the connection was
    /// lost, until the retry deadline. `what` says what failed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn retry<T, F>(
        &self,
        retry_for: Duration,
        reporter: &Reporter,
        what: impl Fn() -> String + Send,
        mut operation: impl FnMut(SessionHandle) -> F + Send,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, StreamError>> + Send,
    {
        let mut deadline = RetryDeadline::new(retry_for);
        loop {
            let handle = self.handle();
            let error = match operation(handle.clone()).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let reconnected = self.reconnect_after(&handle, error, &mut deadline, reporter).await;
            reconnected.map_err(|error| {
                error.into_client_error(|error| ClientError::stream(what(), error))
            })?;
        }
    }

    /// Handles the error of an operation: if the connection was lost, reconnects until the retry deadline. After `Ok`
    /// the caller may retry the operation.
    ///
    /// # Errors
    /// [`RetryError`].
    pub(crate) async fn reconnect_after(
        &self,
        handle: &SessionHandle,
        error: StreamError,
        deadline: &mut RetryDeadline,
        reporter: &Reporter,
    ) -> Result<(), RetryError> {
        let why = handle.connection_loss(error).await.map_err(RetryError::Permanent)?;
        let lost = &handle.connection;
        if handle.is_replaced() && self.has_reconnected(lost) {
            return Ok(());
        }
        let Some(remaining) = deadline.start() else { return Err(RetryError::TimedOut(why)) };
        let transfer = reporter.transfer();
        let is_paused = || transfer.is_some_and(|transfer| transfer.control.is_paused());
        let phase = transfer.map(Transfer::phase);
        reporter.set_phase(TransferState::Reconnecting).await;
        self.report_loss(lost, &why, remaining).await;
        // A reset shows that the server runs and has lost the connection: dial without a pause, but only once.
        let mut is_server_up =
            matches!(why, StreamError::Lost(ConnectionEnd::Reset)) && deadline.is_first_attempt();
        loop {
            if let Some(transfer) = transfer.filter(|_| is_paused()) {
                transfer.control.wait_until_running().await;
                // The deadline restarts, because a paused transfer cannot make progress.
                deadline.reset();
                deadline.start();
            }
            let Some(pause) = deadline.next_pause(self.longest_pause()) else {
                if is_paused() {
                    continue;
                }
                return Err(RetryError::TimedOut(why));
            };
            // Another transfer may have reconnected in the meantime.
            if !is_server_up && !self.has_reconnected(lost) {
                // A deadline that has passed ends the attempt.
                let _ = deadline.limit(sleep(pause)).await;
            }
            is_server_up = false;
            match deadline.limit(self.reconnect_if_lost(lost)).await {
                Some(Ok(())) => {
                    if let Some(phase) = phase {
                        reporter.set_phase(phase).await;
                    }
                    return Ok(());
                }
                Some(Err(failure)) if self.may_succeed_later(&failure) => {
                    debug!(%failure, "reconnecting failed");
                }
                Some(Err(failure)) => return Err(RetryError::Failed(failure)),
                None if is_paused() => {}
                None => return Err(RetryError::TimedOut(why)),
            }
        }
    }

    /// The longest pause between two attempts.
    fn longest_pause(&self) -> Duration {
        if self.is_with_peer() { LONGEST_PEER_PAUSE } else { LONGEST_SERVER_PAUSE }
    }

    /// Whether another attempt may succeed. Another client may be started again soon.
    fn may_succeed_later(&self, failure: &ClientError) -> bool {
        failure.is_transient() || (self.is_with_peer() && failure.is_unreachable_peer())
    }

    /// Reports the loss of a connection, once.
    async fn report_loss(&self, lost: &Connection, why: &StreamError, retry_for: Duration) {
        if self.lock().reported_loss.replace(lost.stable_id()) == Some(lost.stable_id()) {
            return;
        }
        let why = match why {
            StreamError::Lost(ended) => format!("connection lost ({ended})"),
            StreamError::Refused(refusal) => refusal.to_string(),
            other => format!("connection lost ({other})"),
        };
        self.0.reporter.notify(Notice::Reconnecting { why, retry_for }).await;
    }
}

/// Why an operation is not retried on another connection.
#[derive(Debug)]
pub(crate) enum RetryError {
    /// The error is not a loss of the connection.
    Permanent(StreamError),
    /// The connection was lost, and the retry deadline has passed.
    TimedOut(StreamError),
    /// Reconnecting failed with a permanent error.
    Failed(ClientError),
}

impl RetryError {
    /// Converts to the error of the operation.
    pub(crate) fn into_client_error(
        self,
        explain: impl FnOnce(StreamError) -> ClientError,
    ) -> ClientError {
        match self {
            Self::Permanent(error) | Self::TimedOut(error) => explain(error),
            Self::Failed(error) => error,
        }
    }
}
