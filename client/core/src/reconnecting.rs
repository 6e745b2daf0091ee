//! A session that transfers share and make again when its connection is lost: the first transfer that notices
//! the loss reconnects, and the others reuse its session. Retrying is written here once.

mod retry_deadline;

use std::path::absolute;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::Fingerprint;
use quiver_protocol::reply::Welcome;
use quiver_transfer::blocking;
use quiver_transport::{Channel, Connection, ConnectionEnd, StreamError};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::debug;

pub(crate) use self::retry_deadline::RetryDeadline;
use crate::connection::{Connector, PinnedServer, Session};
use crate::error::{ClientError, is_loss, is_passing};
use crate::event::ConnectionState;
use crate::journal::{Direction, Journal, ServerRef, UnfinishedFiles};
use crate::notice::Notice;
use crate::reporter::Reporter;
use crate::transfers::{Transfer, TransferState};

/// How long after a stream breaks off its connection may take to say that it is gone.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// The way to one server. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ReconnectingSession(Arc<ReconnectShared>);

#[derive(Debug)]
struct ReconnectShared {
    connector: tokio::sync::Mutex<Connector>,
    state: Mutex<ReconnectState>,
    renewed: Notify,
    server: ServerRef,
    journal: Journal,
    unfinished: UnfinishedFiles,
    reporter: Reporter,
    identity_not_kept: Option<String>,
    /// Whether it was said what cannot be kept.
    noted: AtomicBool,
}

#[derive(Debug)]
struct ReconnectState {
    handle: SessionHandle,
    welcome: Arc<Welcome>,
    /// A session that was made, until its listener has it.
    fresh: Option<Session>,
    /// The connection whose loss was told.
    told: Option<usize>,
}

/// What a transfer needs of a session.
#[derive(Debug, Clone)]
pub(crate) struct SessionHandle {
    /// Where commands are asked.
    pub(crate) connection: Channel,
    /// The longest silence in a command.
    pub(crate) patience: Duration,
    /// One permit for each content stream.
    pub(crate) content: Arc<Semaphore>,
}

impl ReconnectingSession {
    /// Goes on with a session of a connector.
    ///
    /// # Panics
    /// Never: a connector that has made a session knows whom it trusts.
    #[must_use]
    pub(crate) fn new(connector: Connector, session: Session) -> Self {
        let server = ServerRef {
            address: connector.server.clone(),
            fingerprint: connector
                .pin
                .as_ref()
                .map_or(Fingerprint([0; 32]), PinnedServer::fingerprint),
            // Without a current folder there is no telling where a relative path leads later.
            certificate: connector.certificate.as_ref().and_then(|path| absolute(path).ok()),
            name: session.welcome.name.clone(),
        };
        let state = ReconnectState {
            handle: SessionHandle::of(&session),
            welcome: Arc::new(session.welcome.clone()),
            fresh: Some(session),
            told: None,
        };
        Self(Arc::new(ReconnectShared {
            journal: connector.journal.clone(),
            unfinished: connector.unfinished.clone(),
            reporter: connector.reporter.clone(),
            identity_not_kept: connector.identity_not_kept.clone(),
            noted: AtomicBool::new(false),
            connector: tokio::sync::Mutex::new(connector),
            state: Mutex::new(state),
            renewed: Notify::new(),
            server,
        }))
    }

    /// Where commands are asked now.
    #[must_use]
    pub(crate) fn handle(&self) -> SessionHandle {
        self.lock().handle.clone()
    }

    /// Which server this is.
    #[must_use]
    pub(crate) fn server_ref(&self) -> &ServerRef {
        &self.0.server
    }

    /// What is unfinished, on disk.
    #[must_use]
    pub(crate) fn journal(&self) -> &Journal {
        &self.0.journal
    }

    /// What is unfinished in this run.
    #[must_use]
    pub(crate) fn unfinished(&self) -> &UnfinishedFiles {
        &self.0.unfinished
    }

    /// Tells, once, what of a transfer that is about to begin no later run can resume, where that is so.
    pub(crate) async fn tell_what_is_not_kept(&self, direction: Direction) {
        if self.0.noted.load(Ordering::Relaxed) {
            return;
        }
        let notice = match (direction, &self.0.identity_not_kept) {
            (Direction::Put, Some(why)) => Notice::KeyNotStored { why: why.clone() },
            _ => {
                let journal = self.0.journal.clone();
                // Fails only where the runtime is going down.
                match blocking::run(move || journal.check()).await {
                    Ok(Err(why)) => Notice::JournalNotWritable { why },
                    _ => return,
                }
            }
        };
        self.0.noted.store(true, Ordering::Relaxed);
        self.0.reporter.notice(notice).await;
    }

    /// What the server said to the last hello.
    pub(crate) fn welcome(&self) -> Arc<Welcome> {
        self.lock().welcome.clone()
    }

    /// The next session that was made, for its one listener.
    pub(crate) async fn next_session(&self) -> Session {
        loop {
            let renewed = self.0.renewed.notified();
            let fresh = self.lock().fresh.take();
            if let Some(session) = fresh {
                return session;
            }
            renewed.await;
        }
    }

    /// Makes sure that there is a connection: connects again, once, as the same client, where it was lost.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn reconnect(&self) -> Result<(), ClientError> {
        let mut connector = self.0.connector.lock().await;
        if self.handle().connection.close_reason().is_none() {
            return Ok(());
        }
        self.take(connector.reconnect().await?);
        Ok(())
    }

    /// Runs an operation on the session, and again on a renewed one, for as long as it fails for the loss of its
    /// connection and the time allows. `what` says what failed.
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
            let renewed = self.renew_after(&handle, error, &mut deadline, reporter).await;
            renewed.map_err(|not| not.explain(|error| ClientError::stream(what(), error)))?;
        }
    }

    /// After an error of what was done on a session: makes sure that there is a connection, where the error was the
    /// loss of one and the time allows. The same operation may then be done again.
    ///
    /// # Errors
    /// [`RetryRefusal`].
    pub(crate) async fn renew_after(
        &self,
        handle: &SessionHandle,
        error: StreamError,
        deadline: &mut RetryDeadline,
        reporter: &Reporter,
    ) -> Result<(), RetryRefusal> {
        let why = handle.loss(error).await.map_err(RetryRefusal::Permanent)?;
        let lost = &handle.connection;
        let Some(mut until) = deadline.deadline() else { return Err(RetryRefusal::TimedOut(why)) };
        let transfer = reporter.transfer();
        let is_paused = || transfer.is_some_and(|transfer| transfer.control.is_paused());
        let before = transfer.map(Transfer::phase);
        reporter.phase(TransferState::Reconnecting).await;
        self.tell_loss(lost, &why, until).await;
        // A server that says it knows nothing of the connection is there. It need not say so twice.
        let mut is_there =
            matches!(why, StreamError::Lost(ConnectionEnd::Reset)) && deadline.is_fresh();
        loop {
            if let Some(transfer) = transfer.filter(|_| is_paused()) {
                transfer.control.running().await;
                // The time begins anew: a pause is no lack of progress.
                deadline.progress();
                until = deadline.deadline().unwrap_or(until);
            }
            let Some(moment) = deadline.next(until) else {
                if is_paused() {
                    continue;
                }
                return Err(RetryRefusal::TimedOut(why));
            };
            // The first one to notice may have made another long since.
            if !is_there && !self.is_renewed(lost) {
                sleep_until(moment).await;
            }
            is_there = false;
            match timeout_at(until, self.renew(lost)).await {
                Ok(Ok(())) => {
                    if let Some(before) = before {
                        reporter.phase(before).await;
                    }
                    return Ok(());
                }
                Ok(Err(failure)) if failure.is_passing() => {
                    debug!(%failure, "no connection yet");
                }
                Ok(Err(failure)) => return Err(RetryRefusal::Failed(failure)),
                Err(_) if is_paused() => {}
                Err(_) => return Err(RetryRefusal::TimedOut(why)),
            }
        }
    }

    /// Once a loss.
    async fn tell_loss(&self, lost: &Connection, why: &StreamError, until: Instant) {
        if self.lock().told.replace(lost.stable_id()) == Some(lost.stable_id()) {
            return;
        }
        let why = match why {
            StreamError::Lost(ended) => format!("connection lost ({ended})"),
            StreamError::Refused(refusal) => refusal.to_string(),
            other => format!("connection lost ({other})"),
        };
        let retry_for = until.saturating_duration_since(Instant::now());
        self.0.reporter.notice(Notice::Reconnecting { why, retry_for }).await;
    }

    fn is_renewed(&self, lost: &Connection) -> bool {
        let connection = &self.lock().handle.connection;
        connection.stable_id() != lost.stable_id() && connection.close_reason().is_none()
    }

    /// A connection that is not the lost one, or that one where it lives.
    async fn renew(&self, lost: &Connection) -> Result<(), ClientError> {
        let mut connector = self.0.connector.lock().await;
        if self.is_renewed(lost) || lost.close_reason().is_none() {
            return Ok(());
        }
        self.take(connector.reconnect().await?);
        Ok(())
    }

    /// From now on commands are asked there. To be called with the connector locked, so that nobody dials again.
    fn take(&self, session: Session) {
        let welcome = Arc::new(session.welcome.clone());
        {
            let mut state = self.lock();
            state.handle = SessionHandle::of(&session);
            state.welcome = welcome.clone();
            state.fresh = Some(session);
        }
        self.0.renewed.notify_waiters();
        self.0.reporter.connection(ConnectionState::Reconnected(welcome));
    }

    fn lock(&self) -> MutexGuard<'_, ReconnectState> {
        self.0.state.lock()
    }
}

impl SessionHandle {
    fn of(session: &Session) -> Self {
        Self {
            connection: session.connection.clone(),
            patience: session.patience,
            content: session.content.clone(),
        }
    }
}

impl SessionHandle {
    /// The error, where it is the loss of the connection or a refusal that passes; `Err` with it where not.
    async fn loss(&self, error: StreamError) -> Result<StreamError, StreamError> {
        match error {
            StreamError::Lost(ended) if is_loss(&ended) => Ok(StreamError::Lost(ended)),
            StreamError::Refused(refusal) if is_passing(refusal.code) => {
                Ok(StreamError::Refused(refusal))
            }
            StreamError::Reset | StreamError::Stopped | StreamError::Frame(_) => {
                // A server that goes away may end its streams before its connections.
                match timeout(AFTERWARDS, self.connection.closed()).await {
                    Ok(ended) if is_loss(&ended.clone().into()) => {
                        Ok(StreamError::Lost(ended.into()))
                    }
                    _ => Err(error),
                }
            }
            error => Err(error),
        }
    }

    /// Whether an error is the loss of the connection, or a refusal that passes: the same may be done again on
    /// another one.
    ///
    /// # Errors
    /// The error, where not.
    pub(crate) async fn is_lost(&self, error: StreamError) -> Result<(), StreamError> {
        self.loss(error).await.map(drop)
    }
}

/// Why an operation cannot be done again on another connection.
#[derive(Debug)]
pub(crate) enum RetryRefusal {
    /// The error is no loss of the connection.
    Permanent(StreamError),
    /// It is one, and the time is up.
    TimedOut(StreamError),
    /// Connecting failed in a way that time does not heal.
    Failed(ClientError),
}

impl RetryRefusal {
    /// As an error of the operation.
    pub(crate) fn explain(self, explain: impl FnOnce(StreamError) -> ClientError) -> ClientError {
        match self {
            Self::Permanent(error) | Self::TimedOut(error) => explain(error),
            Self::Failed(error) => error,
        }
    }
}
