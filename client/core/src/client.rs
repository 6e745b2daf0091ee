//! The handle for interfaces: an interface passes in requests and answers to questions, and receives numbered events.
//! The handle owns all state of the running client; an interface holds only what it shows.

mod contacts;
mod file_start;
mod peers;
mod reconnect;
mod resume;
mod transfers;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quiver_protocol::reply::Welcome;
use quiver_transport::{ConnectionEnd, Endpoint, PathFacts};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use self::file_start::FileStart;
pub use self::peers::TellOutcome;
pub use self::resume::ResumeOverrides;
pub use self::transfers::{PreparedTransfer, RunningTransfer, TransferEnd};
use crate::connection::{Connector, Session};
use crate::error::{ClientError, InvalidRequest};
use crate::event::{ConnectionState, EventHub, EventKind, EventReceiver, Snapshot};
use crate::exchange;
use crate::folders::Folders;
use crate::journal::{Journal, UnfinishedFiles, UnfinishedShare};
use crate::peer::Peers;
use crate::peer_store::OfferNumber;
use crate::questions::Questions;
use crate::reconnecting::{BoundHandle, ReconnectingSession, SessionHandle};
use crate::reporter::Reporter;
use crate::seen_names::SeenNames;
use crate::settings::ClientSettings;
use crate::transfers::Transfers;

/// How long the client waits between its exit request and the close of the connection.
///
/// Each of them alone makes the server release the slot, so that the client need not know that one has arrived: a user
/// would wait a round trip for it. With some time between them, a burst of loss seldom takes both.
const EXIT_TIMEOUT: Duration = Duration::from_millis(10);

/// A client of one server. Cheap to clone; all clones are the same client.
#[derive(Debug, Clone)]
pub struct Client(Arc<ClientInner>);

#[derive(Debug)]
struct ClientInner {
    settings: ClientSettings,
    folders: Folders,
    endpoint: Endpoint,
    hub: EventHub,
    questions: Questions,
    reporter: Reporter,
    transfers: Transfers,
    unfinished: UnfinishedFiles,
    /// `None` once the connector has created the first session.
    connector: tokio::sync::Mutex<Option<Connector>>,
    session: Mutex<Option<ReconnectingSession>>,
    peers: Peers,
    /// Accepted offers to fetch; `None` once the task that fetches them runs.
    accepted: Mutex<Option<mpsc::Receiver<OfferNumber>>>,
    tasks: Mutex<Tasks>,
}

#[derive(Debug, Default)]
struct Tasks {
    all: JoinSet<()>,
}

impl Client {
    /// Creates a client that is not connected yet. Loads the client's key, or creates it at first use; a key that
    /// cannot be stored lasts for this run only.
    ///
    /// # Errors
    /// [`ClientError::Identity`] if the key exists and cannot be used.
    pub fn new(
        settings: ClientSettings,
        folders: Folders,
        endpoint: Endpoint,
    ) -> Result<Self, ClientError> {
        let hub = EventHub::default();
        let questions = Questions::new(hub.clone());
        let connection = Arc::new(Mutex::new(ConnectionState::Disconnected));
        let seen_names = SeenNames::from_folders(&folders);
        let reporter =
            Reporter::new(hub.clone(), questions.clone(), connection.clone(), seen_names);
        let (transfers, unfinished) = (Transfers::default(), UnfinishedFiles::default());
        // Neither may hold the hub: the hub owns this closure, so it would keep itself alive.
        let (all, list_open) = (transfers.clone(), questions.lister());
        hub.set_snapshot_source(move || Snapshot {
            connection: connection.lock().clone(),
            transfers: all.statuses(),
            questions: list_open(),
        });
        let mut connector =
            Connector::new(&settings, &folders, endpoint.clone(), reporter.clone())?;
        connector.set_unfinished(unfinished.clone());
        let (identity, socket) = (connector.identity().clone(), endpoint.clone());
        let (peers, accepted) =
            Peers::new(socket, identity, folders.clone(), reporter.clone(), &settings);
        Ok(Self(Arc::new(ClientInner {
            settings,
            folders,
            endpoint,
            hub,
            questions,
            reporter,
            transfers,
            unfinished,
            connector: tokio::sync::Mutex::new(Some(connector)),
            session: Mutex::new(None),
            peers,
            accepted: Mutex::new(Some(accepted)),
            tasks: Mutex::default(),
        })))
    }

    /// Subscribes to events from now on. A reader that falls behind gets a [`Snapshot`] in place of the events that
    /// it missed.
    #[must_use]
    pub fn events(&self) -> EventReceiver {
        self.0.hub.subscribe()
    }

    /// Subscribes to all events from now on: the client waits for a reader that falls behind. For an interface that
    /// reports every file, such as a command line.
    #[must_use]
    pub fn all_events(&self) -> EventReceiver {
        self.0.hub.subscribe_to_all()
    }

    /// The questions of this client.
    #[must_use]
    pub fn questions(&self) -> &Questions {
        &self.0.questions
    }

    /// The settings of this client.
    #[must_use]
    pub fn settings(&self) -> &ClientSettings {
        &self.0.settings
    }

    /// The folders of this client.
    #[must_use]
    pub fn folders(&self) -> &Folders {
        &self.0.folders
    }

    /// The journal of unfinished transfers.
    #[must_use]
    pub fn journal(&self) -> Journal {
        Journal::from_folders(&self.0.folders)
    }

    /// How much of the transfers of this run can be resumed, for the last message of the program.
    #[must_use]
    pub fn unfinished_share(&self) -> Option<UnfinishedShare> {
        self.0.unfinished.share()
    }

    pub(crate) fn reporter(&self) -> &Reporter {
        &self.0.reporter
    }

    fn peers(&self) -> Peers {
        self.0.peers.clone()
    }

    pub(crate) fn connector(&self, settings: &ClientSettings) -> Result<Connector, ClientError> {
        let ClientInner { folders, endpoint, reporter, unfinished, .. } = &*self.0;
        let mut connector = Connector::new(settings, folders, endpoint.clone(), reporter.clone())?;
        connector.set_unfinished(unfinished.clone());
        Ok(connector)
    }

    /// Connects and signs in, and asks the user for missing settings. A client that was connected before keeps its
    /// connection, or reconnects as the same client if the connection was lost.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn connect(&self) -> Result<Arc<Welcome>, ClientError> {
        let existing = self.0.session.lock().clone();
        if let Some(session) = existing {
            session.reconnect().await?;
            return session.welcome();
        }
        let mut guard = self.0.connector.lock().await;
        let Some(connector) = guard.as_mut() else {
            // Another caller has connected in the meantime.
            return self.session()?.welcome();
        };
        let session = connector.connect().await?;
        let Some(connector) = guard.take() else {
            return Err(InvalidRequest::NotConnected.into());
        };
        let session = ReconnectingSession::new(connector, session);
        let welcome = session.welcome()?;
        *self.0.session.lock() = Some(session.clone());
        let reporter = self.0.reporter.clone();
        reporter.set_connection(ConnectionState::Connected(welcome.clone()));
        self.0.peers.set_session(session.clone());
        let mut tasks = self.0.tasks.lock();
        tasks.all.spawn(session.clone().watch_silence());
        tasks.all.spawn(forward_events(session, reporter));
        if let Some(accepted) = self.0.accepted.lock().take() {
            tasks.all.spawn(peers::fetch_accepted(Arc::downgrade(&self.0), accepted));
        }
        Ok(welcome)
    }

    /// Whether the connection is open now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        let session = self.0.session.lock();
        session.as_ref().is_some_and(|session| session.handle().connection.close_reason().is_none())
    }

    /// The path to the server; `None` before the first connection.
    #[must_use]
    pub fn server_path(&self) -> Option<PathFacts> {
        self.handle().ok().map(|handle| PathFacts::of(&handle.connection))
    }

    /// The server's response to the last hello.
    ///
    /// # Errors
    /// [`InvalidRequest::NotConnected`].
    pub fn welcome(&self) -> Result<Arc<Welcome>, ClientError> {
        self.session()?.welcome()
    }

    pub(crate) fn session(&self) -> Result<ReconnectingSession, ClientError> {
        self.0.session.lock().clone().ok_or_else(|| InvalidRequest::NotConnected.into())
    }

    /// Watches the connections of a session until this client leaves.
    fn watch_silence(&self, session: ReconnectingSession) {
        let mut tasks = self.0.tasks.lock();
        tasks.reap();
        tasks.all.spawn(session.watch_silence());
    }

    /// The current session, for a command that cannot continue on another connection. Waits while the connection is
    /// silent.
    pub(crate) async fn command_handle(&self) -> Result<BoundHandle, ClientError> {
        Ok(self.session()?.command_handle().await)
    }

    /// The current session.
    pub(crate) fn handle(&self) -> Result<SessionHandle, ClientError> {
        Ok(self.session()?.handle())
    }

    /// Sends an exit request, so that the server releases the slot at once and not after an idle timeout.
    pub async fn disconnect(&self) {
        let Ok(handle) = self.handle() else { return };
        // The client leaves in any case.
        let _ = exchange::exit(&handle.connection, EXIT_TIMEOUT).await;
    }

    /// Aborts all tasks, and waits until they have released their resources. Event streams end.
    pub async fn shut_down(&self) {
        self.reporter().seen_names().save().await;
        self.0.peers.shut_down().await;
        let mut all = std::mem::take(&mut self.0.tasks.lock().all);
        all.shutdown().await;
        self.0.hub.close();
    }
}

/// Publishes the server's events and the loss of each connection, over all sessions.
async fn forward_events(sessions: ReconnectingSession, reporter: Reporter) {
    loop {
        let Session { connection, mut events, .. } = sessions.next_session().await;
        let end: ConnectionEnd = loop {
            tokio::select! {
                // The last event of the server precedes the loss of the connection.
                biased;
                Some(event) = events.next() => {
                    if let Some(kind) = EventKind::from_server(&event) {
                        reporter.publish(kind).await;
                    }
                }
                why = connection.closed() => break why.into(),
            }
        };
        // One that was silent is closed after another one has replaced it.
        if end == ConnectionEnd::ClosedLocally && sessions.is_replaced(&connection) {
            continue;
        }
        reporter.set_connection(ConnectionState::Lost(end.to_string()));
    }
}

impl Drop for ClientInner {
    fn drop(&mut self) {
        self.hub.close();
    }
}

impl Tasks {
    /// Removes finished tasks, and propagates their panics.
    fn reap(&mut self) {
        while let Some(done) = self.all.try_join_next() {
            if let Err(error) = done
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }
}
