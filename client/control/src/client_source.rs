//! The transfers of one client as others see them: for processes whose interface keeps no list of its own.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;

use parking_lot::Mutex;
use quiver_client::peer_path::PeerPath;
use quiver_client::peer_store::OfferNumber;
use quiver_client::transfers::{FileState, TransferFile, TransferId, TransferState};
use quiver_client::{Client, ClientError};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::facts::{TransferFacts, served_offer_view};
use crate::failure::Failure;
use crate::source::{PendingReply, Steering, TransferChanges, TransferSource};
use crate::transfer_name::TransferName;
use crate::view::{FileStage, PathKind, TransferFileView, TransferView};

/// Files of a page of a transfer's files.
const MAX_PAGE: usize = 1000;

/// The transfers of a client.
#[derive(Debug)]
pub struct ClientTransfers {
    client: Client,
    /// Where the client's connections run.
    runtime: Handle,
    /// What runs the transfers: the command, or `prompt`.
    process: String,
    /// The command line of this process, if it is a command.
    command: String,
    /// The command lines of transfers that were started otherwise.
    commands: Mutex<BTreeMap<TransferId, String>>,
}

impl ClientTransfers {
    /// The transfers of a client whose connections run on `runtime`. `process` names what runs them, and `command` is the
    /// command line that does the same, or empty.
    #[must_use]
    pub fn new(client: Client, runtime: Handle, process: &str, command: String) -> Arc<Self> {
        let process = process.to_owned();
        Arc::new(Self { client, runtime, process, command, commands: Mutex::default() })
    }

    /// Sets the command line that does the same as a transfer.
    pub fn set_command(&self, id: TransferId, command: String) {
        self.commands.lock().insert(id, command);
    }

    fn path_to(&self, name: &str) -> Option<PathKind> {
        let peers = self.client.peer_statuses();
        let peer = peers.into_iter().find(|peer| peer.name.as_str() == name)?;
        Some(match peer.path {
            PeerPath::Relayed { .. } => PathKind::Relayed,
            PeerPath::Direct { .. } => PathKind::Direct,
            PeerPath::Closed => PathKind::Closed,
        })
    }

    /// Withdraws an offer, on the client's runtime.
    async fn withdraw(&self, number: OfferNumber) -> Result<(), Failure> {
        let (client, mut task) = (self.client.clone(), JoinSet::new());
        task.spawn_on(async move { client.withdraw_offer(number).await }, &self.runtime);
        match task.join_next().await {
            Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
            Some(Ok(withdrawn)) => Ok(withdrawn?),
            Some(Err(_)) | None => Err(Failure::interrupted()),
        }
    }
}

impl TransferSource for ClientTransfers {
    fn transfers(&self) -> Vec<TransferView> {
        let statuses = self.client.transfers();
        let mut commands = self.commands.lock();
        // The client forgets old ones.
        commands.retain(|id, _| statuses.iter().any(|status| status.id == *id));
        let mut views = Vec::new();
        for status in &statuses {
            let mut facts = TransferFacts::of_status(status);
            if let Some(command) = commands.get(&status.id) {
                facts.command.clone_from(command);
            } else if !self.command.is_empty() {
                facts.command.clone_from(&self.command);
            }
            views.push(facts.view(&self.process, status, |name| self.path_to(name)));
        }
        let offers = self.client.served_offers();
        views.extend(
            offers
                .iter()
                .map(|offer| served_offer_view(&self.process, offer, |name| self.path_to(name))),
        );
        views
    }

    fn journal_ids(&self) -> Vec<u64> {
        self.client.journal_ids()
    }

    fn changes(&self) -> TransferChanges {
        TransferChanges::Events(self.client.events())
    }

    fn steer(&self, name: TransferName, steering: Steering) -> PendingReply<'_> {
        Box::pin(async move {
            match name {
                TransferName::Transfer { id, .. } if name.is_own() => {
                    steer_transfer(&self.client, id, steering)?;
                }
                TransferName::Offer { number, .. } if name.is_own() => match steering {
                    Steering::Cancel => self.withdraw(number).await?,
                    Steering::Pause | Steering::Resume => {
                        return Err(Failure::new(
                            "other",
                            "the sender of an offer cannot pause it",
                        ));
                    }
                },
                _ => return Err(unknown(name)),
            }
            Ok(json!({}))
        })
    }

    fn files(&self, name: TransferName, after: u64, limit: usize) -> PendingReply<'_> {
        Box::pin(async move {
            match name {
                TransferName::Transfer { id, .. } if name.is_own() => {
                    transfer_files(&self.client, id, after, limit).await
                }
                _ => Err(unknown(name)),
            }
        })
    }
}

/// The failure for a transfer that this process does not have.
#[must_use]
pub fn unknown(name: TransferName) -> Failure {
    Failure::new("not_found", format!("there is no transfer {name}"))
}

/// Pauses, resumes or cancels a transfer of a client.
///
/// # Errors
/// [`Failure`].
pub fn steer_transfer(client: &Client, id: TransferId, steering: Steering) -> Result<(), Failure> {
    let status = client.transfer(id).map_err(|_| unknown(TransferName::own(id)))?;
    if status.state.is_over() {
        let how = match status.state {
            TransferState::Done => "is done",
            TransferState::Failed => "has failed",
            _ => "was cancelled",
        };
        return Err(Failure::new("not_found", format!("the transfer {how} already")));
    }
    match steering {
        Steering::Pause if !status.is_pausable => {
            let why = "the transfer cannot be paused: its content is streamed";
            return Err(Failure::new("other", why));
        }
        Steering::Pause => client.pause(id)?,
        Steering::Resume => client.resume(id)?,
        Steering::Cancel => client.cancel(id)?,
    }
    Ok(())
}

/// A page of the files of a transfer: `{files, more}`.
///
/// # Errors
/// [`Failure`].
pub async fn transfer_files(
    client: &Client,
    id: TransferId,
    after: u64,
    limit: usize,
) -> Result<Value, Failure> {
    let limit = limit.clamp(1, MAX_PAGE);
    let mut page: Vec<TransferFile> = client
        .transfer_files(id, after, limit + 1)
        .await
        .map_err(|error: ClientError| Failure::from(error))?;
    let more = page.len() > limit;
    page.truncate(limit);
    let files: Vec<_> = page.into_iter().map(file_view).collect();
    Ok(json!({ "files": files, "more": more }))
}

fn file_view(file: TransferFile) -> TransferFileView {
    TransferFileView {
        number: file.number,
        source: file.source.to_string(),
        target: file.target,
        size: file.size,
        state: match file.state {
            FileState::Waiting => FileStage::Waiting,
            FileState::Done => FileStage::Done,
            FileState::Same => FileStage::Same,
            FileState::Kept => FileStage::Kept,
            FileState::Failed => FileStage::Failed,
        },
        error: file.error,
    }
}
