//! Transfers as interfaces see them: prepared, started, paused, resumed, cancelled and looked at, by their ids.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::Client;
use crate::download::Download;
use crate::error::{ClientError, InvalidRequest};
use crate::event::EventHub;
use crate::journal::Direction;
use crate::reporter::Reporter;
use crate::request::{DownloadRequest, UploadContent, UploadRequest};
use crate::transfers::{Transfer, TransferFile, TransferId, TransferState, TransferStatus};
use crate::upload::Upload;

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
    /// It failed; [`ClientError::SomeFailed`] where some of several files failed.
    Failed(Arc<ClientError>),
    /// It was cancelled.
    Cancelled,
}

impl Client {
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
    pub async fn check_with_server(&self, prepared: &mut PreparedTransfer) -> Result<(), ClientError> {
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
    /// [`InvalidRequest::NotConnected`], [`InvalidRequest::AlreadyRunning`].
    pub fn start(&self, prepared: PreparedTransfer) -> Result<RunningTransfer, ClientError> {
        let session = self.session()?;
        let PreparedTransfer { work, named } = prepared;
        let (direction, is_streamed) = match &work {
            Work::Download(_) => (Direction::Get, work.is_streamed()),
            Work::Upload(_) => (Direction::Put, work.is_streamed()),
        };
        if let Some(target) = self.0.transfers.under_way(&work.targets()) {
            return Err(InvalidRequest::AlreadyRunning(target).into());
        }
        // Before there is one more: it panics where one of them did.
        self.0.tasks.lock().reap();
        let under_way = self.begin(direction, named, is_streamed, work.targets());
        let (id, client) = (under_way.transfer.id, self.clone());
        let (end, ended) = oneshot::channel();
        let task = async move {
            let reporter = under_way.reporter.clone();
            let how = match work {
                Work::Download(download) => under_way.run(download.run(session, reporter)).await,
                Work::Upload(upload) => under_way.run(upload.run(session, reporter)).await,
            };
            // The one who started it may not care.
            let _ = end.send(how);
        };
        self.0.tasks.lock().all.spawn(task);
        Ok(RunningTransfer { id, client, ended })
    }

    /// One more transfer; it is over at the latest when this is dropped.
    pub(super) fn begin(
        &self,
        direction: Direction,
        named: Vec<String>,
        is_streamed: bool,
        targets: Vec<PathBuf>,
    ) -> TransferGuard {
        let transfer = self.0.transfers.begin(direction, named, is_streamed);
        transfer.set_targets(targets);
        let reporter = self.0.reporter.of(transfer.clone());
        TransferGuard { transfer, reporter, hub: self.0.hub.clone() }
    }

    /// How all transfers of this process are, by number.
    #[must_use]
    pub fn transfers(&self) -> Vec<TransferStatus> {
        self.0.transfers.statuses()
    }

    /// How one of them is.
    ///
    /// # Errors
    /// [`InvalidRequest::UnknownTransfer`].
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
    /// [`InvalidRequest::UnknownTransfer`], [`InvalidRequest::NotPausable`].
    pub fn pause(&self, id: TransferId) -> Result<(), InvalidRequest> {
        let transfer = self.0.transfers.find(id)?;
        if transfer.state().is_over() {
            return Err(InvalidRequest::UnknownTransfer(id.0));
        }
        if !transfer.control.is_pausable() {
            return Err(InvalidRequest::NotPausable(id.0));
        }
        transfer.set_paused(true, |state| self.0.hub.tell_state(transfer.id, state));
        Ok(())
    }

    /// Lets a paused transfer go on where it stopped. One that is not paused is left as it is.
    ///
    /// # Errors
    /// [`InvalidRequest::UnknownTransfer`].
    pub fn resume(&self, id: TransferId) -> Result<(), InvalidRequest> {
        let transfer = self.0.transfers.find(id)?;
        transfer.set_paused(false, |state| self.0.hub.tell_state(transfer.id, state));
        Ok(())
    }

    /// Cancels a transfer. What was moved so far is kept, for a later attempt.
    ///
    /// # Errors
    /// [`InvalidRequest::UnknownTransfer`] where it is over.
    pub fn cancel(&self, id: TransferId) -> Result<(), InvalidRequest> {
        let transfer = self.0.transfers.find(id)?;
        if transfer.state().is_over() {
            return Err(InvalidRequest::UnknownTransfer(id.0));
        }
        transfer.control.cancel();
        transfer.set_phase(TransferState::Cancelled, |state| {
            self.0.hub.tell_state(transfer.id, state);
        });
        Ok(())
    }
}

/// A transfer that is being carried out. Dropped before its end, as by a panic or with the client, it is over too.
pub(super) struct TransferGuard {
    pub(super) transfer: Arc<Transfer>,
    pub(super) reporter: Reporter,
    hub: EventHub,
}

impl TransferGuard {
    /// Does the work of it, unless it is cancelled.
    async fn run(self, work: impl Future<Output = Result<(), ClientError>>) -> TransferEnd {
        match self.unless_cancelled(work).await {
            None => TransferEnd::Cancelled,
            Some(Ok(())) => {
                self.reporter.phase(TransferState::Done).await;
                TransferEnd::Done
            }
            Some(Err(error)) => {
                let error = Arc::new(error);
                self.reporter.transfer_failed(Some(error.clone())).await;
                TransferEnd::Failed(error)
            }
        }
    }

    /// The same of one of several, whose failures are told by the caller.
    ///
    /// # Errors
    /// [`ClientError::Interrupted`] where it was cancelled.
    pub(super) async fn run_among_others(
        self,
        work: impl Future<Output = Result<(), ClientError>>,
    ) -> Result<(), ClientError> {
        let Some(done) = self.unless_cancelled(work).await else {
            return Err(ClientError::Interrupted);
        };
        match &done {
            Ok(()) => self.reporter.phase(TransferState::Done).await,
            Err(_) => self.reporter.transfer_failed(None).await,
        }
        done
    }

    async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.transfer.control.cancelled() => None,
            done = work => Some(done),
        }
    }
}

impl Drop for TransferGuard {
    fn drop(&mut self) {
        // What is over stays as it is.
        let end =
            if std::thread::panicking() { TransferState::Failed } else { TransferState::Cancelled };
        self.transfer.set_phase(end, |state| self.hub.tell_state(self.transfer.id, state));
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
    pub fn file_count(&self) -> usize {
        match &self.work {
            Work::Download(download) => download.asked(),
            Work::Upload(upload) => upload.asked(),
        }
    }

    /// A target of its that a running transfer has too.
    #[must_use]
    pub fn running_target(&self, client: &Client) -> Option<PathBuf> {
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
    pub async fn wait(&mut self) -> TransferEnd {
        match (&mut self.ended).await {
            Ok(end) => end,
            Err(_) => {
                self.client.0.tasks.lock().reap();
                TransferEnd::Cancelled
            }
        }
    }
}
