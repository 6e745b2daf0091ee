//! Transfers as interfaces see them: prepared, started, paused, resumed, cancelled and looked at, by their ids.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::Client;
use crate::download::Download;
use crate::error::{ClientError, InvalidRequest};
use crate::event::EventKind;
use crate::journal::Direction;
use crate::reporter::Reporter;
use crate::request::{DownloadRequest, UploadContent, UploadRequest};
use crate::transfers::{
    Transfer, TransferEvent, TransferFile, TransferId, TransferState, TransferStatus,
};
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
    /// It failed; [`ClientError::Several`] where some of several files failed.
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

    pub(super) fn begin(
        &self,
        direction: Direction,
        named: Vec<String>,
        is_streamed: bool,
    ) -> Arc<Transfer> {
        self.0.transfers.begin(direction, named, is_streamed)
    }

    /// A transfer that no task of its own carries out has ended.
    pub(super) async fn ended(
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
