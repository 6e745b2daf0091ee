//! A session that transfers share and that reconnects after a loss: the first transfer that notices the loss
//! reconnects, and the others reuse its session. `retry` has the only retry loop.

mod move_signal;
mod retry;
mod retry_deadline;
mod session_handle;
mod session_source;
mod silence;
mod silence_watch;

use std::path::absolute;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::Fingerprint;
use quiver_protocol::reply::Welcome;
use quiver_transfer::blocking;
use quiver_transport::Connection;
use tokio::sync::{Notify, watch};

pub(crate) use self::move_signal::MoveSignal;
pub(crate) use self::retry::LONGEST_SERVER_PAUSE;
pub(crate) use self::retry_deadline::RetryDeadline;
pub(crate) use self::session_handle::{BoundHandle, SessionHandle};
pub(crate) use self::session_source::{BestSession, Renewal, RenewedSession, SessionSource};
use crate::connection::{Connector, PinnedServer, Session};
use crate::error::{ClientError, InvalidRequest};
use crate::event::ConnectionState;
use crate::journal::{Direction, Journal, ServerRef, UnfinishedFiles};
use crate::notice::Notice;
use crate::reporter::Reporter;

/// A session with one server, or with another client, that reconnects. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ReconnectingSession(Arc<ReconnectShared>);

#[derive(Debug)]
struct ReconnectShared {
    source: tokio::sync::Mutex<Box<dyn SessionSource>>,
    state: Mutex<ReconnectState>,
    reconnected: Notify,
    /// Whether the current connection is silent.
    is_silent: watch::Sender<bool>,
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
            is_silent: watch::Sender::default(),
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
            is_silent: watch::Sender::default(),
            server: peer,
        }))
    }

    /// The current session, for commands.
    #[must_use]
    pub(crate) fn handle(&self) -> SessionHandle {
        let best = self.0.best.as_ref().and_then(BestSession::get);
        best.unwrap_or_else(|| self.lock().handle.clone())
    }

    /// The current session, for a command that cannot continue on another connection. Waits while the connection is
    /// silent, because another one may replace it.
    pub(crate) async fn command_handle(&self) -> BoundHandle {
        // Its sender is in this session.
        let _ = self.0.is_silent.subscribe().wait_for(|is_silent| !is_silent).await;
        self.handle().bind()
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

    /// Waits until there is a connection. Does not dial.
    pub(crate) async fn wait_until_connected(&self) {
        loop {
            let reconnected = self.0.reconnected.notified();
            if self.handle().connection.close_reason().is_none() {
                return;
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

    /// Whether another connection is the current one now.
    pub(crate) fn is_replaced(&self, connection: &Connection) -> bool {
        self.lock().handle.connection.stable_id() != connection.stable_id()
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
