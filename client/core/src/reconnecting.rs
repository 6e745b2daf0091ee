//! A session that transfers share and that reconnects after a loss: the first transfer that notices the loss
//! reconnects, and the others reuse its session. Holds the only retry loop.

mod move_signal;
mod retry_deadline;
mod session_handle;
mod session_source;

use std::path::absolute;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::Fingerprint;
use quiver_protocol::reply::Welcome;
use quiver_transfer::blocking;
use quiver_transport::{Connection, ConnectionEnd, StreamError};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::debug;

pub(crate) use self::move_signal::MoveSignal;
pub(crate) use self::retry_deadline::RetryDeadline;
pub(crate) use self::session_handle::SessionHandle;
pub(crate) use self::session_source::{BestSession, Renewal, RenewedSession, SessionSource};
use crate::connection::{Connector, PinnedServer, Session};
use crate::error::{ClientError, InvalidRequest};
use crate::event::ConnectionState;
use crate::journal::{Direction, Journal, ServerRef, UnfinishedFiles};
use crate::notice::Notice;
use crate::reporter::Reporter;
use crate::transfers::{Transfer, TransferState};

/// A session with one server, or with another client, that reconnects. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ReconnectingSession(Arc<ReconnectShared>);

#[derive(Debug)]
struct ReconnectShared {
    source: tokio::sync::Mutex<Box<dyn SessionSource>>,
    state: Mutex<ReconnectState>,
    reconnected: Notify,
    server: ServerRef,
    journal: Journal,
    unfinished: UnfinishedFiles,
    reporter: Reporter,
    /// The best session with another client; `None` for a server.
    best: Option<BestSession>,
    identity_not_stored: Option<String>,
    /// Whether the user was warned that a later run cannot resume.
    has_warned: AtomicBool,
}

#[derive(Debug)]
struct ReconnectState {
    handle: SessionHandle,
    /// `None` if the session is with another client.
    welcome: Option<Arc<Welcome>>,
    /// A new session, until [`ReconnectingSession::next_session`] has returned it.
    unclaimed: Option<Session>,
    /// The id of the connection whose loss was reported last.
    reported_loss: Option<usize>,
}

impl ReconnectingSession {
    /// Takes over the first session of a connector, and the connector to reconnect with.
    #[must_use]
    pub(crate) fn new(connector: Connector, session: Session) -> Self {
        let server = ServerRef {
            address: connector.server.clone(),
            fingerprint: connector
                .pin
                .as_ref()
                .map_or(Fingerprint([0; 32]), PinnedServer::fingerprint),
            // Without a current folder, a relative path would have no meaning in a later run.
            certificate: connector.certificate.as_ref().and_then(|path| absolute(path).ok()),
            name: session.welcome.name.clone(),
        };
        let state = ReconnectState {
            handle: SessionHandle::new(&session),
            welcome: Some(Arc::new(session.welcome.clone())),
            unclaimed: Some(session),
            reported_loss: None,
        };
        Self(Arc::new(ReconnectShared {
            journal: connector.journal.clone(),
            unfinished: connector.unfinished.clone(),
            reporter: connector.reporter.clone(),
            best: None,
            identity_not_stored: connector.identity_not_stored.clone(),
            has_warned: AtomicBool::new(false),
            source: tokio::sync::Mutex::new(Box::new(connector)),
            state: Mutex::new(state),
            reconnected: Notify::new(),
            server,
        }))
    }

    /// Creates a session with another client, whose transfers are not recorded in the journal. `peer` identifies the
    /// other client in place of a server.
    #[must_use]
    pub(crate) fn with_peer(
        source: Box<dyn SessionSource>,
        best: BestSession,
        handle: SessionHandle,
        peer: ServerRef,
        unfinished: UnfinishedFiles,
        reporter: Reporter,
    ) -> Self {
        let state = ReconnectState { handle, welcome: None, unclaimed: None, reported_loss: None };
        Self(Arc::new(ReconnectShared {
            journal: Journal::none(),
            unfinished,
            reporter,
            best: Some(best),
            identity_not_stored: None,
            has_warned: AtomicBool::new(true),
            source: tokio::sync::Mutex::new(source),
            state: Mutex::new(state),
            reconnected: Notify::new(),
            server: peer,
        }))
    }

    /// The current session, for commands.
    #[must_use]
    pub(crate) fn handle(&self) -> SessionHandle {
        let best = self.0.best.as_ref().and_then(BestSession::get);
        best.unwrap_or_else(|| self.lock().handle.clone())
    }

    /// Whether this is a session with another client: it has no welcome of a server.
    pub(crate) fn is_with_peer(&self) -> bool {
        self.lock().welcome.is_none()
    }

    /// The server, and this client's name on it.
    #[must_use]
    pub(crate) fn server_ref(&self) -> &ServerRef {
        &self.0.server
    }

    /// The journal of unfinished transfers.
    #[must_use]
    pub(crate) fn journal(&self) -> &Journal {
        &self.0.journal
    }

    /// The unfinished transfers of this run.
    #[must_use]
    pub(crate) fn unfinished(&self) -> &UnfinishedFiles {
        &self.0.unfinished
    }

    /// Warns the user, once, if a later run cannot resume a transfer that is about to start.
    pub(crate) async fn warn_if_not_resumable(&self, direction: Direction) {
        if self.0.has_warned.load(Ordering::Relaxed) {
            return;
        }
        let notice = match (direction, &self.0.identity_not_stored) {
            (Direction::Put, Some(why)) => Notice::KeyNotStored { why: why.clone() },
            _ => {
                let journal = self.0.journal.clone();
                // Fails only while the runtime shuts down.
                match blocking::run(move || journal.check_writable()).await {
                    Ok(Err(why)) => Notice::JournalNotWritable { why },
                    _ => return,
                }
            }
        };
        self.0.has_warned.store(true, Ordering::Relaxed);
        self.0.reporter.notify(notice).await;
    }

    /// The server's response to the last hello.
    ///
    /// # Errors
    /// [`InvalidRequest::NotConnected`] if the session is with another client.
    pub(crate) fn welcome(&self) -> Result<Arc<Welcome>, ClientError> {
        self.lock().welcome.clone().ok_or_else(|| InvalidRequest::NotConnected.into())
    }

    /// Waits for a new session and returns it, for the one task that receives its events.
    pub(crate) async fn next_session(&self) -> Session {
        loop {
            let reconnected = self.0.reconnected.notified();
            let unclaimed = self.lock().unclaimed.take();
            if let Some(session) = unclaimed {
                return session;
            }
            reconnected.await;
        }
    }

    /// Reconnects as the same client if the connection was lost. Tries once.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn reconnect(&self) -> Result<(), ClientError> {
        let mut source = self.0.source.lock().await;
        if self.handle().connection.close_reason().is_none() {
            return Ok(());
        }
        self.set_session(source.reconnect().await?);
        Ok(())
    }

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
        let Some(mut until) = deadline.deadline() else { return Err(RetryError::TimedOut(why)) };
        let transfer = reporter.transfer();
        let is_paused = || transfer.is_some_and(|transfer| transfer.control.is_paused());
        let phase = transfer.map(Transfer::phase);
        reporter.set_phase(TransferState::Reconnecting).await;
        self.report_loss(lost, &why, until).await;
        // A reset shows that the server runs and has lost the connection: dial without a pause, but only once.
        let mut is_server_up =
            matches!(why, StreamError::Lost(ConnectionEnd::Reset)) && deadline.is_first_attempt();
        loop {
            if let Some(transfer) = transfer.filter(|_| is_paused()) {
                transfer.control.wait_until_running().await;
                // The deadline restarts, because a paused transfer cannot make progress.
                deadline.reset();
                until = deadline.deadline().unwrap_or(until);
            }
            let Some(next_attempt) = deadline.next_attempt(until) else {
                if is_paused() {
                    continue;
                }
                return Err(RetryError::TimedOut(why));
            };
            // Another transfer may have reconnected in the meantime.
            if !is_server_up && !self.has_reconnected(lost) {
                sleep_until(next_attempt).await;
            }
            is_server_up = false;
            match timeout_at(until, self.reconnect_if_lost(lost)).await {
                Ok(Ok(())) => {
                    if let Some(phase) = phase {
                        reporter.set_phase(phase).await;
                    }
                    return Ok(());
                }
                Ok(Err(failure)) if self.may_succeed_later(&failure) => {
                    debug!(%failure, "reconnecting failed");
                }
                Ok(Err(failure)) => return Err(RetryError::Failed(failure)),
                Err(_) if is_paused() => {}
                Err(_) => return Err(RetryError::TimedOut(why)),
            }
        }
    }

    /// Whether another attempt may succeed. Another client may be started again soon.
    fn may_succeed_later(&self, failure: &ClientError) -> bool {
        failure.is_transient() || (self.is_with_peer() && failure.is_unreachable_peer())
    }

    /// Reports the loss of a connection, once.
    async fn report_loss(&self, lost: &Connection, why: &StreamError, until: Instant) {
        if self.lock().reported_loss.replace(lost.stable_id()) == Some(lost.stable_id()) {
            return;
        }
        let why = match why {
            StreamError::Lost(ended) => format!("connection lost ({ended})"),
            StreamError::Refused(refusal) => refusal.to_string(),
            other => format!("connection lost ({other})"),
        };
        let retry_for = until.saturating_duration_since(Instant::now());
        self.0.reporter.notify(Notice::Reconnecting { why, retry_for }).await;
    }

    fn has_reconnected(&self, lost: &Connection) -> bool {
        let connection = self.handle().connection;
        connection.stable_id() != lost.stable_id() && connection.close_reason().is_none()
    }

    /// Reconnects, unless another transfer has done so or the connection is alive.
    async fn reconnect_if_lost(&self, lost: &Connection) -> Result<(), ClientError> {
        let mut source = self.0.source.lock().await;
        if self.has_reconnected(lost) || lost.close_reason().is_none() {
            return Ok(());
        }
        self.set_session(source.reconnect().await?);
        Ok(())
    }

    /// Makes a session the current one. The caller has locked the source, so that no other transfer dials again.
    fn set_session(&self, renewed: RenewedSession) {
        let welcome = {
            let mut state = self.lock();
            match renewed {
                RenewedSession::Server(session) => {
                    let welcome = Arc::new(session.welcome.clone());
                    state.handle = SessionHandle::new(&session);
                    state.welcome = Some(welcome.clone());
                    state.unclaimed = Some(session);
                    Some(welcome)
                }
                RenewedSession::Peer(handle) => {
                    state.handle = handle;
                    None
                }
            }
        };
        self.0.reconnected.notify_waiters();
        if let Some(welcome) = welcome {
            self.0.reporter.set_connection(ConnectionState::Reconnected(welcome));
        }
    }

    fn lock(&self) -> MutexGuard<'_, ReconnectState> {
        self.0.state.lock()
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
