//! Transfers for interfaces: prepare, start, pause, resume, cancel and inspect them by their ids.

use std::path::PathBuf;
use std::sync::Arc;

use quiver_protocol::ClientName;
use tokio::sync::oneshot;

use super::Client;
use crate::download::Download;
use crate::error::{ClientError, InvalidRequest};
use crate::event::EventHub;
use crate::journal::Direction;
use crate::peer_store::OfferNumber;
use crate::reconnecting::ReconnectingSession;
use crate::reporter::Reporter;
use crate::request::{DownloadRequest, UploadContent, UploadRequest};
use crate::tasks::blocking;
use crate::transfers::{
    OtherSide, ServedOffer, Transfer, TransferFile, TransferId, TransferState, TransferStatus,
};
use crate::upload::Upload;

/// A transfer whose request was checked as far as possible without a server.
#[derive(Debug)]
pub struct PreparedTransfer {
    work: Work,
    /// The requested files, as the user typed them.
    named: Vec<String>,
    /// The other client whose offer is fetched; `None` for a transfer with the server.
    sender: Option<ClientName>,
}

#[derive(Debug)]
pub(super) enum Work {
    Download(Download),
    Upload(Upload),
}

/// A started transfer. It continues if this is dropped.
#[derive(Debug)]
pub struct RunningTransfer {
    /// The transfer's number.
    pub id: TransferId,
    client: Client,
    end: oneshot::Receiver<TransferEnd>,
}

/// How a transfer ended.
#[derive(Debug, Clone)]
pub enum TransferEnd {
    /// All files were transferred or skipped.
    Done,
    /// It failed; with [`ClientError::SomeFailed`] if some of several files failed.
    Failed(Arc<ClientError>),
    /// It was cancelled.
    Cancelled,
}

impl Client {
    /// Checks a download as far as possible without the server.
    ///
    /// # Errors
    /// [`ClientError`]; nothing was sent to the server.
    pub async fn prepare_download(
        &self,
        request: DownloadRequest,
    ) -> Result<PreparedTransfer, ClientError> {
        let named = request.paths.clone();
        let download = blocking(move || Download::prepare(request)).await?;
        Ok(PreparedTransfer::with_server(Work::Download(download), named))
    }

    /// Checks an upload as far as possible without the server.
    ///
    /// # Errors
    /// [`ClientError`]; nothing was sent to the server.
    pub fn prepare_upload(&self, request: UploadRequest) -> Result<PreparedTransfer, ClientError> {
        let named = match &request.content {
            UploadContent::Paths(paths) => {
                paths.iter().map(|path| path.display().to_string()).collect()
            }
            UploadContent::Stream(_) => vec!["-".to_owned()],
        };
        let upload = Upload::prepare(request)?;
        Ok(PreparedTransfer::with_server(Work::Upload(upload), named))
    }

    /// Checks with the server whether this client may upload, compares files that exist on both sides, and asks the user
    /// about those that differ. Needs a connection.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn check_with_server(
        &self,
        prepared: &mut PreparedTransfer,
    ) -> Result<(), ClientError> {
        let session = self.session()?;
        let reporter = &self.0.reporter;
        // Boxed: these large futures would nest too deeply in those of interfaces.
        match &mut prepared.work {
            Work::Download(download) => {
                Box::pin(download.check_with_server(&session, reporter)).await
            }
            Work::Upload(upload) => Box::pin(upload.check_with_server(&session, reporter)).await,
        }
    }

    /// Starts a transfer that was prepared and [checked](Self::check_with_server). The client must have connected
    /// once; the transfer reconnects if the connection was lost.
    ///
    /// # Errors
    /// [`InvalidRequest::NotConnected`], [`InvalidRequest::AlreadyRunning`].
    pub fn start(&self, prepared: PreparedTransfer) -> Result<RunningTransfer, ClientError> {
        self.start_in(self.session()?, prepared, async |_, _| {})
    }

    /// Starts a transfer in a session. `finish` runs after its work, before its end is reported.
    pub(super) fn start_in<F>(
        &self,
        session: ReconnectingSession,
        prepared: PreparedTransfer,
        finish: impl FnOnce(TransferStatus, TransferEnd) -> F + Send + 'static,
    ) -> Result<RunningTransfer, ClientError>
    where
        F: Future<Output = ()> + Send,
    {
        let PreparedTransfer { work, named, sender } = prepared;
        let other = match sender {
            Some(name) => OtherSide::Client(name),
            None => OtherSide::Server(session.server_ref().address.clone()),
        };
        let (direction, is_streamed) = match &work {
            Work::Download(_) => (Direction::Get, work.is_streamed()),
            Work::Upload(_) => (Direction::Put, work.is_streamed()),
        };
        if let Some(target) = self.0.transfers.find_busy_target(&work.targets()) {
            return Err(InvalidRequest::AlreadyRunning(target).into());
        }
        // Before the new transfer is registered, because this panics if a task has panicked.
        self.0.tasks.lock().reap();
        let guard = self.register_transfer(direction, other, named, is_streamed, work.targets());
        let (id, client) = (guard.transfer.id, self.clone());
        let (sender, end) = oneshot::channel();
        let transfer = guard.transfer.clone();
        let task = async move {
            let reporter = guard.reporter.clone();
            let outcome = match work {
                Work::Download(download) => guard.run(download.run(session, reporter)).await,
                Work::Upload(upload) => guard.run(upload.run(session, reporter)).await,
            };
            finish(transfer.status(), outcome.clone()).await;
            // Fails if the caller has dropped the RunningTransfer.
            let _ = sender.send(outcome);
        };
        self.0.tasks.lock().all.spawn(task);
        Ok(RunningTransfer { id, client, end })
    }

    /// Registers a transfer. It ends at the latest when the guard is dropped.
    pub(super) fn register_transfer(
        &self,
        direction: Direction,
        other: OtherSide,
        named: Vec<String>,
        is_streamed: bool,
        targets: Vec<PathBuf>,
    ) -> TransferGuard {
        let transfer = self.0.transfers.add(direction, other, named, is_streamed);
        transfer.set_targets(targets);
        let reporter = self.0.reporter.for_transfer(transfer.clone());
        TransferGuard { transfer, reporter, hub: self.0.hub.clone() }
    }

    /// The offers that this process serves, by number.
    #[must_use]
    pub fn served_offers(&self) -> Vec<ServedOffer> {
        self.peers().served_offers()
    }

    /// The status of all transfers of this process, by number.
    #[must_use]
    pub fn transfers(&self) -> Vec<TransferStatus> {
        self.0.transfers.statuses()
    }

    /// Waits until this client has started a transfer, or serves the files of an offer.
    pub async fn wait_for_transfer(&self) {
        let peers = self.peers();
        tokio::select! {
            () = self.0.transfers.wait_for_first() => {}
            () = peers.wait_for_served_offer() => {}
        }
    }

    /// The ids of the journal's entries whose transfers this client has started and not finished.
    #[must_use]
    pub fn journal_ids(&self) -> Vec<u64> {
        self.0.unfinished.ids()
    }

    /// The status of a transfer.
    ///
    /// # Errors
    /// [`InvalidRequest::UnknownTransfer`].
    pub fn transfer(&self, id: TransferId) -> Result<TransferStatus, InvalidRequest> {
        Ok(self.0.transfers.find(id)?.status())
    }

    /// Up to `limit` files of a transfer with numbers above `after`, each with its state.
    ///
    /// # Errors
    /// [`ClientError`] if there is no such transfer, or its plan cannot be read.
    pub async fn transfer_files(
        &self,
        id: TransferId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TransferFile>, ClientError> {
        self.0.transfers.find(id)?.files.page_after(after, limit).await
    }

    /// Pauses a transfer: files that are being transferred stop soon and keep their partial files, and no further
    /// file starts. Files that are [small](quiver_transfer::SMALL) finish.
    ///
    /// # Errors
    /// [`InvalidRequest::UnknownTransfer`], [`InvalidRequest::NotPausable`].
    pub fn pause(&self, id: TransferId) -> Result<(), InvalidRequest> {
        let transfer = self.0.transfers.find(id)?;
        if transfer.state().is_over() {
            return Err(InvalidRequest::UnknownTransfer(id.0));
        }
        if !transfer.control.is_pausable() {
            return Err(InvalidRequest::NotPausable(id.0));
        }
        transfer.set_paused(true, |state| self.0.hub.publish_state(transfer.id, state));
        Ok(())
    }

    /// Resumes a paused transfer. Does nothing to a transfer that is not paused.
    ///
    /// # Errors
    /// [`InvalidRequest::UnknownTransfer`].
    pub fn resume(&self, id: TransferId) -> Result<(), InvalidRequest> {
        let transfer = self.0.transfers.find(id)?;
        transfer.set_paused(false, |state| self.0.hub.publish_state(transfer.id, state));
        Ok(())
    }

    /// Cancels a transfer. A later attempt can resume its partial files.
    ///
    /// # Errors
    /// [`InvalidRequest::UnknownTransfer`] if there is none, or it has ended.
    pub fn cancel(&self, id: TransferId) -> Result<(), InvalidRequest> {
        let transfer = self.0.transfers.find(id)?;
        if transfer.state().is_over() {
            return Err(InvalidRequest::UnknownTransfer(id.0));
        }
        transfer.control.cancel();
        transfer.set_phase(TransferState::Cancelled, |state| {
            self.0.hub.publish_state(transfer.id, state);
        });
        Ok(())
    }
}

/// A registered transfer. Dropping the guard, as by a panic or with the client, ends the transfer.
pub(super) struct TransferGuard {
    pub(super) transfer: Arc<Transfer>,
    pub(super) reporter: Reporter,
    hub: EventHub,
}

impl TransferGuard {
    /// Runs the work of the transfer until it finishes or the transfer is cancelled.
    async fn run(self, work: impl Future<Output = Result<(), ClientError>>) -> TransferEnd {
        match self.run_until_cancelled(work).await {
            None => TransferEnd::Cancelled,
            Some(Ok(())) => {
                self.reporter.set_phase(TransferState::Done).await;
                TransferEnd::Done
            }
            Some(Err(error)) => {
                let error = Arc::new(error);
                self.reporter.set_failed(Some(error.clone())).await;
                TransferEnd::Failed(error)
            }
        }
    }

    /// Runs the work of one of several transfers. The caller reports its failure.
    ///
    /// # Errors
    /// The failure of the work; [`ClientError::Interrupted`] if the transfer was cancelled.
    pub(super) async fn run_in_group(
        self,
        work: impl Future<Output = Result<(), ClientError>>,
    ) -> Result<(), ClientError> {
        let Some(done) = self.run_until_cancelled(work).await else {
            return Err(ClientError::Interrupted);
        };
        match &done {
            Ok(()) => self.reporter.set_phase(TransferState::Done).await,
            Err(_) => self.reporter.set_failed(None).await,
        }
        done
    }

    async fn run_until_cancelled<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.transfer.control.wait_until_cancelled() => None,
            done = work => Some(done),
        }
    }
}

impl Drop for TransferGuard {
    fn drop(&mut self) {
        // A transfer that has ended keeps its state.
        let end =
            if std::thread::panicking() { TransferState::Failed } else { TransferState::Cancelled };
        self.transfer.set_phase(end, |state| self.hub.publish_state(self.transfer.id, state));
    }
}

impl PreparedTransfer {
    /// A transfer with the server.
    pub(super) fn with_server(work: Work, named: Vec<String>) -> Self {
        Self { work, named, sender: None }
    }

    /// A transfer of another client's offer.
    pub(super) fn of_offer(download: Download, offer: OfferNumber, sender: ClientName) -> Self {
        let named = vec![format!("offer {offer}")];
        Self { work: Work::Download(download), named, sender: Some(sender) }
    }

    /// The reason why there is nothing to transfer, if so: all requested files exist with other content and are kept.
    #[must_use]
    pub fn nothing_to_do(&self) -> Option<ClientError> {
        match &self.work {
            Work::Download(download) => download.nothing_to_do(),
            Work::Upload(upload) => upload.nothing_to_do(),
        }
    }

    /// The number of requested files; `usize::MAX` if it is not known yet.
    #[must_use]
    pub fn file_count(&self) -> usize {
        match &self.work {
            Work::Download(download) => download.file_count(),
            Work::Upload(upload) => upload.file_count(),
        }
    }

    /// A target of this transfer that a running transfer writes to already.
    #[must_use]
    pub fn running_target(&self, client: &Client) -> Option<PathBuf> {
        client.0.transfers.find_busy_target(&self.work.targets())
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
    /// Waits until the transfer has ended. Cancel-safe: the returned future may be dropped, and the call repeated.
    ///
    /// # Panics
    /// If the transfer has panicked.
    pub async fn wait(&mut self) -> TransferEnd {
        match (&mut self.end).await {
            Ok(end) => end,
            Err(_) => {
                self.client.0.tasks.lock().reap();
                TransferEnd::Cancelled
            }
        }
    }
}
