//! The handle for interfaces: requests and answers in, numbered events out. All state of the running client is
//! behind it; interfaces hold only what they show.

mod resume;
mod transfers;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quiver_protocol::reply::Welcome;
use quiver_transport::{ConnectionEnd, Endpoint};
use tokio::task::JoinSet;

pub use self::resume::ResumeOverrides;
pub use self::transfers::{PreparedTransfer, RunningTransfer, TransferEnd};
use crate::connection::{Connector, Session};
use crate::error::{ClientError, InvalidRequest};
use crate::event::{ConnectionState, EventHub, EventKind, EventReceiver, Snapshot};
use crate::exchange;
use crate::folders::Folders;
use crate::journal::{Journal, UnfinishedFiles, UnfinishedShare};
use crate::questions::Questions;
use crate::reconnecting::{ReconnectingSession, SessionHandle};
use crate::reporter::Reporter;
use crate::settings::ClientSettings;
use crate::transfers::Transfers;

/// How long a goodbye may take. It is a courtesy: nothing depends on it.
const GOODBYE: Duration = Duration::from_secs(2);

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
    /// Until it has made a session.
    connector: tokio::sync::Mutex<Option<Connector>>,
    session: Mutex<Option<ReconnectingSession>>,
    tasks: Mutex<Tasks>,
}

#[derive(Debug, Default)]
struct Tasks {
    all: JoinSet<()>,
}

impl Client {
    /// A client that is not connected yet. Its own key is made at first use, and for this run alone where it
    /// cannot be kept.
    ///
    /// # Errors
    /// [`ClientError::Identity`]: a key that is there and cannot be used.
    pub fn new(
        settings: ClientSettings,
        folders: Folders,
        endpoint: Endpoint,
    ) -> Result<Self, ClientError> {
        let hub = EventHub::default();
        let questions = Questions::new(hub.clone());
        let connection = Arc::new(Mutex::new(ConnectionState::Disconnected));
        let reporter = Reporter::new(hub.clone(), questions.clone(), connection.clone());
        let (transfers, unfinished) = (Transfers::default(), UnfinishedFiles::default());
        // Of these none knows the hub: it would be kept by itself.
        let (all, open) = (transfers.clone(), questions.lister());
        hub.snapshot_with(move || Snapshot {
            connection: connection.lock().clone(),
            transfers: all.statuses(),
            questions: open(),
        });
        let mut connector =
            Connector::new(&settings, &folders, endpoint.clone(), reporter.clone())?;
        connector.share(unfinished.clone());
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
            tasks: Mutex::default(),
        })))
    }

    /// Events from now on. A reader that falls behind gets a [`Snapshot`] in place of what it missed.
    #[must_use]
    pub fn events(&self) -> EventReceiver {
        self.0.hub.subscribe()
    }

    /// All events from now on: what the client does waits where the reader does not take them. For one interface
    /// that tells every file, as a command line does.
    #[must_use]
    pub fn all_events(&self) -> EventReceiver {
        self.0.hub.subscribe_to_all()
    }

    /// The questions of this client: to attend, to answer, and to look at.
    #[must_use]
    pub fn questions(&self) -> &Questions {
        &self.0.questions
    }

    /// What it connects to.
    #[must_use]
    pub fn settings(&self) -> &ClientSettings {
        &self.0.settings
    }

    /// What is unfinished, on disk.
    #[must_use]
    pub fn journal(&self) -> Journal {
        Journal::from_folders(&self.0.folders)
    }

    /// How much of what this run has begun is kept, for last words.
    #[must_use]
    pub fn unfinished_share(&self) -> Option<UnfinishedShare> {
        self.0.unfinished.share()
    }

    pub(crate) fn reporter(&self) -> &Reporter {
        &self.0.reporter
    }

    pub(crate) fn connector(&self, settings: &ClientSettings) -> Result<Connector, ClientError> {
        let ClientInner { folders, endpoint, reporter, unfinished, .. } = &*self.0;
        let mut connector = Connector::new(settings, folders, endpoint.clone(), reporter.clone())?;
        connector.share(unfinished.clone());
        Ok(connector)
    }

    /// Connects and signs in, asking for what is missing; or makes sure that there is a connection, and connects
    /// once more, as the same client, where it was lost.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn connect(&self) -> Result<Arc<Welcome>, ClientError> {
        let known = self.0.session.lock().clone();
        if let Some(session) = known {
            session.reconnect().await?;
            return Ok(session.welcome());
        }
        let mut held = self.0.connector.lock().await;
        let Some(connector) = held.as_mut() else {
            // Another caller has connected meanwhile.
            return Ok(self.session()?.welcome());
        };
        let session = connector.connect().await?;
        let Some(connector) = held.take() else {
            return Err(InvalidRequest::NotConnected.into());
        };
        let session = ReconnectingSession::new(connector, session);
        let welcome = session.welcome();
        *self.0.session.lock() = Some(session.clone());
        let reporter = self.0.reporter.clone();
        reporter.connection(ConnectionState::Connected(welcome.clone()));
        self.0.tasks.lock().all.spawn(listen(session, reporter));
        Ok(welcome)
    }

    /// Whether there is a connection now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        let session = self.0.session.lock();
        session.as_ref().is_some_and(|session| session.handle().connection.close_reason().is_none())
    }

    /// What the server said to the last hello.
    ///
    /// # Errors
    /// [`InvalidRequest::NotConnected`].
    pub fn welcome(&self) -> Result<Arc<Welcome>, ClientError> {
        Ok(self.session()?.welcome())
    }

    pub(crate) fn session(&self) -> Result<ReconnectingSession, ClientError> {
        self.0.session.lock().clone().ok_or_else(|| InvalidRequest::NotConnected.into())
    }

    /// Where commands are asked now.
    pub(crate) fn handle(&self) -> Result<SessionHandle, ClientError> {
        Ok(self.session()?.handle())
    }

    /// Says goodbye, so that the server need not wait for a silence.
    pub async fn disconnect(&self) {
        let Ok(handle) = self.handle() else { return };
        // A failing goodbye fails nothing else.
        let _ = exchange::goodbye(&handle.connection, GOODBYE).await;
    }

    /// Ends all that runs, and waits until it has let go of what it held. Readers of events come to their end.
    pub async fn shut_down(&self) {
        let mut all = std::mem::take(&mut self.0.tasks.lock().all);
        all.shutdown().await;
        self.0.hub.close();
    }
}

/// Tells what the server says unasked, and that it is gone, over all sessions.
async fn listen(sessions: ReconnectingSession, reporter: Reporter) {
    loop {
        let Session { connection, mut events, .. } = sessions.next_session().await;
        let ended: ConnectionEnd = loop {
            tokio::select! {
                // What the server said last comes before that it then went away.
                biased;
                Some(event) = events.next() => {
                    if let Some(kind) = EventKind::of(&event) {
                        reporter.publish(kind).await;
                    }
                }
                why = connection.closed() => break why.into(),
            }
        };
        reporter.connection(ConnectionState::Lost(ended.to_string()));
    }
}

impl Drop for ClientInner {
    fn drop(&mut self) {
        self.hub.close();
    }
}

impl Tasks {
    /// Forgets tasks that are over.
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
