//! The transfers of all processes of this user as they change. Polls nothing: processes report their changes, and the folder
//! of their sockets reports new ones.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use crate::connection::EVENT_INTERVAL;
use crate::failure::Failure;
use crate::messages::{
    ControlEventContent, ControlMessage, ControlReply, ControlRequest, ProcessSnapshot,
};
use crate::process_connection::{ProcessConnection, read};
use crate::processes::sort_key;
use crate::socket_folder::SocketFolder;
use crate::transfer_name::TransferName;
use crate::unix::FolderWatch;
use crate::view::TransferView;

/// How long a process may take for its first reply.
const FIRST_REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long another request to a process may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(12);

/// The pause before a process that has ended the connection is connected again, if it runs.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// Changes and requests that may wait.
const QUEUE: usize = 16;

/// The transfers of all processes but one.
#[derive(Debug)]
pub struct ProcessWatch {
    folder: Arc<SocketFolder>,
    folder_watch: FolderWatch,
    /// The process that is left out.
    except: Option<u32>,
    processes: BTreeMap<u32, NamedTransfers>,
    changes: (mpsc::Sender<ProcessChange>, mpsc::Receiver<ProcessChange>),
    connections: JoinSet<u32>,
    requests: ProcessRequests,
    /// Processes that have ended, and whose transfers are still shown with their last states.
    ended: Vec<u32>,
    has_changed: bool,
    last: Option<Instant>,
    scan_at: Option<Instant>,
}

/// Sends requests to the processes that are watched. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ProcessRequests(Arc<Mutex<BTreeMap<u32, mpsc::Sender<PendingRequest>>>>);

/// The transfers of a process, by name.
type NamedTransfers = BTreeMap<String, TransferView>;

#[derive(Debug)]
struct ProcessChange {
    process: u32,
    change: SnapshotOrEvent,
}

#[derive(Debug)]
enum SnapshotOrEvent {
    Snapshot(ProcessSnapshot),
    Event(ControlEventContent),
}

#[derive(Debug)]
struct PendingRequest {
    request: ControlRequest,
    reply: oneshot::Sender<Result<Value, Failure>>,
}

impl ProcessWatch {
    /// Watches the processes with a socket in this folder, except one. Makes the folder if it is missing.
    ///
    /// # Errors
    /// The system's error; `PermissionDenied` if the folder is not private.
    pub fn new(path: &Path, except: Option<u32>) -> io::Result<Self> {
        let folder = SocketFolder::create(path)?;
        // Before the folder is read: a later process is noticed.
        let folder_watch = FolderWatch::new(path)?;
        Ok(Self {
            folder: Arc::new(folder),
            folder_watch,
            except,
            processes: BTreeMap::new(),
            changes: mpsc::channel(QUEUE),
            connections: JoinSet::new(),
            requests: ProcessRequests::default(),
            ended: Vec::new(),
            has_changed: false,
            last: None,
            scan_at: Some(Instant::now()),
        })
    }

    /// Sends requests to the processes, while this exists.
    #[must_use]
    pub fn requests(&self) -> ProcessRequests {
        self.requests.clone()
    }

    /// Waits for a change, at most four times a second. Cancel-safe.
    ///
    /// # Errors
    /// The system's error.
    pub async fn changed(&mut self) -> io::Result<()> {
        // The last states of their transfers have been seen.
        for process in std::mem::take(&mut self.ended) {
            self.has_changed |= self.processes.remove(&process).is_some();
        }
        loop {
            let earliest = self.last.map_or_else(Instant::now, |last| last + EVENT_INTERVAL);
            let scan_at = self.scan_at.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                () = sleep_until(earliest), if self.has_changed => {
                    (self.last, self.has_changed) = (Some(Instant::now()), false);
                    return Ok(());
                }
                () = sleep_until(scan_at), if self.scan_at.is_some() => self.scan()?,
                changed = self.folder_watch.changed() => {
                    changed?;
                    self.scan_at = Some(Instant::now());
                }
                Some(ended) = self.connections.join_next() => {
                    let process = ended.map_err(io::Error::other)?;
                    while let Ok(change) = self.changes.1.try_recv() {
                        self.apply(change);
                    }
                    self.requests.0.lock().remove(&process);
                    self.ended.push(process);
                    self.has_changed = true;
                    // One that was too slow, and not one that has ended, is found again.
                    self.scan_at = Some(Instant::now() + RECONNECT_PAUSE);
                }
                Some(change) = self.changes.1.recv() => self.apply(change),
            }
        }
    }

    /// The transfers, by number.
    #[must_use]
    pub fn transfers(&self) -> Vec<TransferView> {
        let all = self.processes.values().flat_map(BTreeMap::values);
        let mut all: Vec<_> = all.map(|view| TransferView { own: false, ..view.clone() }).collect();
        all.sort_by_key(sort_key);
        all
    }

    /// Connects with processes that are new.
    fn scan(&mut self) -> io::Result<()> {
        self.scan_at = None;
        for process in self.folder.processes()? {
            if Some(process) == self.except || self.requests.0.lock().contains_key(&process) {
                continue;
            }
            let (requests, pending) = mpsc::channel(QUEUE);
            self.requests.0.lock().insert(process, requests);
            let (folder, changes) = (self.folder.clone(), self.changes.0.clone());
            self.connections.spawn(async move {
                if let Err(error) = watch_process(&folder, process, &changes, pending).await {
                    debug!(process, %error, "a program does not show its transfers");
                }
                process
            });
        }
        Ok(())
    }

    fn apply(&mut self, ProcessChange { process, change }: ProcessChange) {
        self.has_changed = true;
        let shown = self.processes.entry(process).or_default();
        match change {
            SnapshotOrEvent::Snapshot(ProcessSnapshot { transfers, .. }) => {
                let named = transfers.into_iter().map(|view| (view.transfer.clone(), view));
                *shown = named.collect();
            }
            SnapshotOrEvent::Event(ControlEventContent::Transfers { transfers, gone }) => {
                for view in transfers {
                    shown.insert(view.transfer.clone(), view);
                }
                for name in gone {
                    shown.remove(&name);
                }
            }
        }
    }
}

/// Watches a process until it ends or the connection is lost.
async fn watch_process(
    folder: &SocketFolder,
    process: u32,
    changes: &mpsc::Sender<ProcessChange>,
    mut pending: mpsc::Receiver<PendingRequest>,
) -> io::Result<()> {
    let Some(mut connection) = ProcessConnection::open(folder, process).await? else {
        return folder.sweep().await;
    };
    let watched = connection.request(ControlRequest::WatchTransfers);
    let watched = timeout(FIRST_REPLY_TIMEOUT, watched).await??;
    let snapshot = watched.map_err(|failure| io::Error::other(failure.text))?;
    let send = async |change| {
        // Fails if nobody watches any more.
        let _ = changes.send(ProcessChange { process, change }).await;
    };
    send(SnapshotOrEvent::Snapshot(read(snapshot)?)).await;
    let mut replies: BTreeMap<u64, oneshot::Sender<Result<Value, Failure>>> = BTreeMap::new();
    loop {
        tokio::select! {
            message = connection.receive() => match message {
                Ok(ControlMessage::Event(event)) => send(SnapshotOrEvent::Event(event.content)).await,
                Ok(ControlMessage::Reply(ControlReply { id, outcome })) => {
                    if let Some(reply) = replies.remove(&id) {
                        // Fails if its requester has given up.
                        let _ = reply.send(outcome.into_result());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            },
            Some(PendingRequest { request, reply }) = pending.recv() => {
                let id = connection.send(request).await?;
                replies.insert(id, reply);
                replies.retain(|_, reply| !reply.is_closed());
            }
        }
    }
}

impl ProcessRequests {
    /// Pauses a transfer.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn pause(&self, name: TransferName) -> Result<Value, Failure> {
        self.send(name, ControlRequest::Pause { transfer: name.to_string() }).await
    }

    /// Resumes a transfer.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn resume(&self, name: TransferName) -> Result<Value, Failure> {
        self.send(name, ControlRequest::Resume { transfer: name.to_string() }).await
    }

    /// Cancels a transfer.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn cancel(&self, name: TransferName) -> Result<Value, Failure> {
        self.send(name, ControlRequest::Cancel { transfer: name.to_string() }).await
    }

    /// A page of the files of a transfer.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn files(
        &self,
        name: TransferName,
        after: u64,
        limit: usize,
    ) -> Result<Value, Failure> {
        let transfer = name.to_string();
        self.send(name, ControlRequest::TransferFiles { transfer, after, limit }).await
    }

    /// Sends a request on the connection that shows the transfer: a later process with the same id does not get it.
    async fn send(&self, name: TransferName, request: ControlRequest) -> Result<Value, Failure> {
        let gone = || Failure::new("not_found", format!("there is no transfer {name}"));
        let process = name.process().ok_or_else(gone)?;
        let requests = self.0.lock().get(&process).cloned().ok_or_else(gone)?;
        let (reply, replied) = oneshot::channel();
        requests.send(PendingRequest { request, reply }).await.map_err(|_| gone())?;
        let late = || Failure::new("connection", "the other program does not answer");
        timeout(REQUEST_TIMEOUT, replied).await.map_err(|_| late())?.map_err(|_| gone())?
    }
}
