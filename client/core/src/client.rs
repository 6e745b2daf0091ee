//! The handle for interfaces: requests and answers in, numbered events out. All state of the running client is
//! behind it; interfaces hold only what they show.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quiver_protocol::reply::Welcome;
use quiver_transport::{Ended, Endpoint};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};

use crate::connection::{Connector, Session};
use crate::download::Download;
use crate::error::{ClientError, InvalidRequest};
use crate::event::{ConnectionState, EventHub, EventKind, EventReceiver, Snapshot};
use crate::exchange;
use crate::folders::Folders;
use crate::journal::{Direction, Journal, Share, Unfinished};
use crate::question::Questions;
use crate::reconnecting::{ReconnectingSession, SessionHandle};
use crate::reporter::Reporter;
use crate::request::{DownloadRequest, ResumeRequest, UploadContent, UploadRequest};
use crate::resume::{self, Overrides};
use crate::settings::ClientSettings;
use crate::transfers::{
    Transfer, TransferEvent, TransferFile, TransferId, TransferState, TransferStatus, Transfers,
};
use crate::upload::Upload;

/// How long a goodbye may take. It is a courtesy: nothing depends on it.
const GOODBYE: Duration = Duration::from_secs(2);

/// A client of one server. Cheap to clone; all clones are the same client.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: ClientSettings,
    folders: Folders,
    endpoint: Endpoint,
    hub: EventHub,
    questions: Questions,
    reporter: Reporter,
    transfers: Transfers,
    unfinished: Unfinished,
    connection: Arc<Mutex<ConnectionState>>,
    /// Until it has made a session.
    connector: tokio::sync::Mutex<Option<Connector>>,
    session: Mutex<Option<ReconnectingSession>>,
    tasks: Mutex<Tasks>,
}

#[derive(Debug, Default)]
struct Tasks {
    all: JoinSet<()>,
    transfers: HashMap<TransferId, AbortHandle>,
}

/// A transfer that was checked as far as that is possible without a server.
#[derive(Debug)]
pub struct PreparedTransfer {
    work: Work,
    /// What was asked for, as it was written.
    named: Vec<String>,
}

#[derive(Debug)]
enum Work {
    Download(Download),
    Upload(Upload),
}

/// A transfer that was started. It runs on where this is dropped.
#[derive(Debug)]
pub struct RunningTransfer {
    /// Its number.
    pub id: TransferId,
    client: Client,
    ended: oneshot::Receiver<TransferEnd>,
}

/// How a transfer ended.
#[derive(Debug, Clone)]
pub enum TransferEnd {
    /// All of it was dealt with.
    Done,
    /// It failed; [`ClientError::Several`] where some of several files failed.
    Failed(Arc<ClientError>),
    /// It was cancelled.
    Cancelled,
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
        let reporter = Reporter::new(hub.clone(), questions.clone());
        let (transfers, unfinished) = (Transfers::default(), Unfinished::default());
        let connection = Arc::new(Mutex::new(ConnectionState::Disconnected));
        let (all, state, open) = (transfers.clone(), connection.clone(), questions.clone());
        hub.snapshot_with(move || Snapshot {
            connection: state.lock().clone(),
            transfers: all.statuses(),
            questions: open.open(),
        });
        let mut connector =
            Connector::new(&settings, &folders, endpoint.clone(), reporter.clone())?;
        connector.share(unfinished.clone());
        Ok(Self(Arc::new(Inner {
            settings,
            folders,
            endpoint,
            hub,
            questions,
            reporter,
            transfers,
            unfinished,
            connection,
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
        Journal::of(&self.0.folders)
    }

    /// How much of what this run has begun is kept, for last words.
    #[must_use]
    pub fn unfinished_share(&self) -> Option<Share> {
        self.0.unfinished.share()
    }

    pub(crate) fn reporter(&self) -> &Reporter {
        &self.0.reporter
    }

    pub(crate) fn connector(&self, settings: &ClientSettings) -> Result<Connector, ClientError> {
        let Inner { folders, endpoint, reporter, unfinished, .. } = &*self.0;
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
        *self.0.connection.lock() = ConnectionState::Connected(welcome.clone());
        let connected = EventKind::Connection(ConnectionState::Connected(welcome.clone()));
        self.0.reporter.publish(connected).await;
        let (reporter, state) = (self.0.reporter.clone(), self.0.connection.clone());
        self.0.tasks.lock().all.spawn(listen(session, reporter, state));
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

    /// Checks a download as far as that is possible here; asks about files that exist.
    ///
    /// # Errors
    /// [`ClientError`]: nothing was asked of the server.
    pub async fn prepare_download(
        &self,
        request: DownloadRequest,
    ) -> Result<PreparedTransfer, ClientError> {
        let named = request.paths.clone();
        let download = Download::prepare(request, &self.0.reporter).await?;
        Ok(PreparedTransfer { work: Work::Download(download), named })
    }

    /// Checks an upload as far as that is possible here.
    ///
    /// # Errors
    /// [`ClientError`]: nothing was dialled.
    pub fn prepare_upload(&self, request: UploadRequest) -> Result<PreparedTransfer, ClientError> {
        let named = match &request.content {
            UploadContent::Paths(paths) => {
                paths.iter().map(|path| path.display().to_string()).collect()
            }
            UploadContent::Stream(_) => vec!["-".to_owned()],
        };
        let upload = Upload::prepare(request)?;
        Ok(PreparedTransfer { work: Work::Upload(upload), named })
    }

    /// Settles with the server what can only be settled there: whether it takes uploads from this client, and what
    /// becomes of files that exist there. Needs a connection.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn settle(&self, prepared: &mut PreparedTransfer) -> Result<(), ClientError> {
        let session = self.session()?;
        match &mut prepared.work {
            Work::Download(_) => Ok(()),
            Work::Upload(upload) => upload.settle(&session, &self.0.reporter).await,
        }
    }

    /// Starts a transfer that was prepared and settled. Needs a connection that was made once; a lost one is made
    /// again.
    ///
    /// # Errors
    /// [`InvalidRequest::NotConnected`], [`InvalidRequest::UnderWay`].
    pub fn start(&self, prepared: PreparedTransfer) -> Result<RunningTransfer, ClientError> {
        let session = self.session()?;
        let PreparedTransfer { work, named } = prepared;
        let (direction, is_streamed) = match &work {
            Work::Download(_) => (Direction::Get, work.is_streamed()),
            Work::Upload(_) => (Direction::Put, work.is_streamed()),
        };
        if let Some(target) = self.0.transfers.under_way(&work.targets()) {
            return Err(InvalidRequest::UnderWay(target).into());
        }
        let transfer = self.begin(direction, named, is_streamed);
        transfer.set_targets(work.targets());
        let (id, client) = (transfer.id, self.clone());
        let (end, ended) = oneshot::channel();
        let task = async move {
            let reporter = client.0.reporter.of(transfer.clone());
            let result = match work {
                Work::Download(download) => download.run(session, reporter.clone()).await,
                Work::Upload(upload) => upload.run(session, reporter.clone()).await,
            };
            let how = match result {
                Ok(()) => {
                    reporter.state(TransferState::Done).await;
                    TransferEnd::Done
                }
                Err(error) => {
                    let error = Arc::new(error);
                    transfer.failed(error.clone());
                    reporter.event(TransferEvent::State(TransferState::Failed)).await;
                    TransferEnd::Failed(error)
                }
            };
            // The one who started it may not care.
            let _ = end.send(how);
        };
        let mut tasks = self.0.tasks.lock();
        tasks.reap();
        let handle = tasks.all.spawn(task);
        tasks.transfers.insert(id, handle);
        drop(tasks);
        Ok(RunningTransfer { id, client: self.clone(), ended })
    }

    /// Resumes what is unfinished, with whichever server; `overrides` beat what each was begun with.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Several`] where some of several failed.
    pub async fn resume_unfinished(
        &self,
        overrides: &Overrides,
        request: &ResumeRequest,
    ) -> Result<(), ClientError> {
        resume::resume(self, overrides, request).await
    }

    pub(crate) fn begin(
        &self,
        direction: Direction,
        named: Vec<String>,
        is_streamed: bool,
    ) -> Arc<Transfer> {
        self.0.transfers.begin(direction, named, is_streamed)
    }

    /// A transfer that no task of its own carries out has ended.
    pub(crate) async fn ended(
        &self,
        transfer: &Transfer,
        reporter: &Reporter,
        result: Result<(), ClientError>,
    ) -> Result<(), ClientError> {
        let state = if result.is_ok() { TransferState::Done } else { TransferState::Failed };
        if transfer.set_state(state) {
            reporter.event(TransferEvent::State(state)).await;
        }
        result
    }

    /// How all transfers of this process are, by number.
    #[must_use]
    pub fn transfers(&self) -> Vec<TransferStatus> {
        self.0.transfers.statuses()
    }

    /// How one of them is.
    ///
    /// # Errors
    /// [`InvalidRequest::NoTransfer`].
    pub fn transfer(&self, id: TransferId) -> Result<TransferStatus, InvalidRequest> {
        Ok(self.0.transfers.find(id)?.status())
    }

    /// Up to `most` files of a transfer after the one with this number, and what has become of them.
    ///
    /// # Errors
    /// [`ClientError`]: there is no such transfer, or its plan cannot be read.
    pub async fn transfer_files(
        &self,
        id: TransferId,
        after: u64,
        most: usize,
    ) -> Result<Vec<TransferFile>, ClientError> {
        self.0.transfers.find(id)?.files.after(after, most).await
    }

    /// Pauses a transfer: what is moving stops within a moment and is kept, and nothing more begins. Files that are
    /// [small](quiver_transfer::SMALL) come to their end.
    ///
    /// # Errors
    /// [`InvalidRequest::NoTransfer`], [`InvalidRequest::NotPausable`].
    pub fn pause(&self, id: TransferId) -> Result<(), InvalidRequest> {
        let transfer = self.0.transfers.find(id)?;
        if transfer.state().is_over() {
            return Err(InvalidRequest::NoTransfer(id.0));
        }
        if !transfer.control.is_pausable() {
            return Err(InvalidRequest::NotPausable(id.0));
        }
        transfer.control.pause();
        self.changed(&transfer, TransferState::Paused);
        Ok(())
    }

    /// Lets a paused transfer go on where it stopped. One that is not paused is left as it is.
    ///
    /// # Errors
    /// [`InvalidRequest::NoTransfer`].
    pub fn resume(&self, id: TransferId) -> Result<(), InvalidRequest> {
        let transfer = self.0.transfers.find(id)?;
        if transfer.control.is_paused() {
            self.changed(&transfer, TransferState::Running);
            transfer.control.resume();
        }
        Ok(())
    }

    /// Cancels a transfer. What was moved so far is kept, for a later attempt.
    ///
    /// # Errors
    /// [`InvalidRequest::NoTransfer`] where it is over.
    pub fn cancel(&self, id: TransferId) -> Result<(), InvalidRequest> {
        let transfer = self.0.transfers.find(id)?;
        let handle = self.0.tasks.lock().transfers.remove(&id);
        let handle = handle.ok_or(InvalidRequest::NoTransfer(id.0))?;
        handle.abort();
        self.changed(&transfer, TransferState::Cancelled);
        Ok(())
    }

    fn changed(&self, transfer: &Transfer, state: TransferState) {
        if transfer.set_state(state) {
            let event = TransferEvent::State(state);
            self.0.hub.publish(EventKind::Transfer(transfer.id, event));
        }
    }

    /// Says goodbye, so that the server need not wait for a silence.
    pub async fn disconnect(&self) {
        let Ok(handle) = self.handle() else { return };
        // A failing goodbye fails nothing else.
        let _ = exchange::goodbye(&handle.connection, GOODBYE).await;
    }

    /// Ends all that runs, and waits until it has let go of what it held. Readers of events come to their end.
    pub async fn shut_down(&self) {
        let mut all = {
            let mut tasks = self.0.tasks.lock();
            tasks.transfers.clear();
            std::mem::take(&mut tasks.all)
        };
        all.shutdown().await;
        self.0.hub.close();
    }
}

/// Tells what the server says unasked, and that it is gone, over all sessions.
async fn listen(
    sessions: ReconnectingSession,
    reporter: Reporter,
    state: Arc<Mutex<ConnectionState>>,
) {
    let mut is_first = true;
    loop {
        let Session { connection, mut events, .. } = sessions.next_session().await;
        if !std::mem::replace(&mut is_first, false) {
            *state.lock() = ConnectionState::Renewed(sessions.welcome());
        }
        let ended: Ended = loop {
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
        let lost = ConnectionState::Lost(ended.to_string());
        *state.lock() = lost.clone();
        reporter.publish(EventKind::Connection(lost)).await;
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
        self.transfers.retain(|_, task| !task.is_finished());
    }
}

impl PreparedTransfer {
    /// Why there is nothing to do, where that is so: every file that exists is kept.
    #[must_use]
    pub fn nothing_to_do(&self) -> Option<ClientError> {
        match &self.work {
            Work::Download(download) => download.nothing_to_do(),
            Work::Upload(upload) => upload.nothing_to_do(),
        }
    }

    /// How many files were asked for; several, where that is not known yet.
    #[must_use]
    pub fn asked(&self) -> usize {
        match &self.work {
            Work::Download(download) => download.asked(),
            Work::Upload(upload) => upload.asked(),
        }
    }

    /// A target of its that a running transfer has too.
    #[must_use]
    pub fn under_way(&self, client: &Client) -> Option<PathBuf> {
        client.0.transfers.under_way(&self.work.targets())
    }
}

impl Work {
    fn is_streamed(&self) -> bool {
        match self {
            Self::Download(download) => download.is_streamed(),
            Self::Upload(upload) => upload.is_streamed(),
        }
    }

    fn targets(&self) -> Vec<PathBuf> {
        match self {
            Self::Download(download) => download.targets(),
            Self::Upload(_) => Vec::new(),
        }
    }
}

impl RunningTransfer {
    /// Waits until it has ended. Waiting may be given up and taken up again.
    ///
    /// # Panics
    /// Where the transfer did.
    pub async fn ended(&mut self) -> TransferEnd {
        match (&mut self.ended).await {
            Ok(end) => end,
            Err(_) => {
                self.client.0.tasks.lock().reap();
                TransferEnd::Cancelled
            }
        }
    }
}
