//! From the client's status of a transfer to what others see of it.

use std::path::Path;

use quiver_client::journal::{Direction, TransferSubject};
use quiver_client::transfers::{OtherSide, ServedOffer, TransferState, TransferStatus};
use quiver_client::unfinished::UnfinishedTransfer;

use crate::command_text::CommandText;
use crate::failure::Failure;
use crate::transfer_name::TransferName;
use crate::view::{PathKind, TransferAction, TransferKind, TransferStage, TransferView};

/// Requested paths of a transfer that are shown.
const MAX_NAMES: usize = 20;

/// Bytes of a command that is shown. A longer one, with the names of thousands of files, would be sent with each change.
const MAX_COMMAND: usize = 16 * 1024;

/// What an interface knows about a transfer beside its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferFacts {
    /// Who sends what.
    pub kind: TransferKind,
    /// The other side, for display.
    pub with: String,
    /// The command that does the same; empty if there is none.
    pub command: String,
    /// The folder of its files on this computer.
    pub local: Option<String>,
    /// Whether the interface can start it again, and remove it from its list.
    pub is_listed: bool,
    /// Whether its request is known, so that it can be started again.
    pub is_repeatable: bool,
}

impl TransferFacts {
    /// What a status alone says.
    #[must_use]
    pub fn of_status(status: &TransferStatus) -> Self {
        let (kind, with) = match (&status.other, status.direction) {
            (OtherSide::Client(name), _) => (TransferKind::Receive, format!("@{name}")),
            (OtherSide::Server(server), Direction::Get) => {
                (TransferKind::Download, server.to_string())
            }
            (OtherSide::Server(server), Direction::Put) => {
                (TransferKind::Upload, server.to_string())
            }
        };
        let offer = offer_number(status);
        let command = offer.map(|number| format!("quiver accept {number}")).unwrap_or_default();
        Self { kind, with, command, local: None, is_listed: false, is_repeatable: false }
    }

    /// The transfer as others see it. `process` says what runs it, `path_to` knows the path to a client.
    #[must_use]
    pub fn view(
        &self,
        process: &str,
        status: &TransferStatus,
        path_to: impl Fn(&str) -> Option<PathKind>,
    ) -> TransferView {
        let other_end = match self.kind {
            TransferKind::Receive => "sender",
            TransferKind::Send => "recipient",
            TransferKind::Download | TransferKind::Upload => "server",
        };
        TransferView {
            transfer: TransferName::own(status.id).to_string(),
            number: None,
            process: process.to_owned(),
            own: true,
            direction: self.kind,
            with: self.with.clone(),
            names: status.named.iter().take(MAX_NAMES).cloned().collect(),
            state: stage(status.state),
            files: status.files,
            files_done: status.files_done,
            files_failed: status.files_failed,
            bytes: status.bytes,
            sent: status.sent,
            received: status.received,
            verified: status.verified,
            rate: status.rate,
            seconds_left: status.time_left.map(|left| left.as_secs()),
            path: match self.with.strip_prefix('@') {
                Some(name) => path_to(name),
                None => Some(PathKind::Server),
            },
            limited_by: status.limited_by.map(|limit| limit.describe(other_end)),
            started: status.started,
            ended: status.ended,
            error: status.error.clone().map(Failure::from),
            can: self.actions(status),
            local: self.local.clone(),
            command: Some(&self.command)
                .filter(|command| command.len() <= MAX_COMMAND)
                .cloned()
                .unwrap_or_default(),
        }
    }

    fn actions(&self, status: &TransferStatus) -> Vec<TransferAction> {
        use TransferAction::{Cancel, Pause, Remove, Resume, Retry, Show};
        let mut actions = match status.state {
            TransferState::Paused => vec![Resume, Cancel],
            TransferState::Planning
            | TransferState::WaitingForAnswer
            | TransferState::Running
            | TransferState::Reconnecting => {
                if status.is_pausable {
                    vec![Pause, Cancel]
                } else {
                    vec![Cancel]
                }
            }
            _ if !self.is_listed => Vec::new(),
            TransferState::Failed | TransferState::Cancelled if self.is_repeatable => {
                vec![Retry, Remove]
            }
            TransferState::Done | TransferState::Failed | TransferState::Cancelled => vec![Remove],
        };
        if self.local.is_some() {
            actions.push(Show);
        }
        actions
    }
}

/// The offer that a transfer fetches.
#[must_use]
pub fn offer_number(status: &TransferStatus) -> Option<u64> {
    match (&status.other, status.named.as_slice()) {
        (OtherSide::Client(_), [name]) => name.strip_prefix("offer ")?.parse().ok(),
        _ => None,
    }
}

/// An offer whose files this process serves.
#[must_use]
pub fn served_offer_view(
    process: &str,
    offer: &ServedOffer,
    path_to: impl Fn(&str) -> Option<PathKind>,
) -> TransferView {
    let number = offer.number;
    TransferView {
        transfer: TransferName::own_offer(number).to_string(),
        number: None,
        process: process.to_owned(),
        own: true,
        direction: TransferKind::Send,
        with: format!("@{}", offer.recipient),
        names: offer.names.iter().take(MAX_NAMES).cloned().collect(),
        state: if offer.is_accepted { TransferStage::Running } else { TransferStage::Waiting },
        files: Some(offer.files),
        files_done: 0,
        files_failed: 0,
        bytes: offer.bytes,
        sent: offer.sent,
        received: 0,
        verified: 0,
        rate: offer.rate,
        seconds_left: offer.time_left.map(|left| left.as_secs()),
        path: path_to(offer.recipient.as_str()),
        limited_by: None,
        started: offer.started,
        ended: None,
        error: None,
        can: vec![TransferAction::Cancel],
        local: None,
        command: String::new(),
    }
}

/// An unfinished transfer that no process runs.
#[must_use]
pub fn unfinished_view(transfer: &UnfinishedTransfer) -> TransferView {
    let UnfinishedTransfer { entry, stored, .. } = transfer;
    let (names, local, bytes) = match &entry.subject {
        TransferSubject::File(file) => {
            (vec![file.path.to_string()], file.local.parent(), Some(file.size))
        }
        TransferSubject::Tree(tree) => {
            (tree.named.iter().take(MAX_NAMES).cloned().collect(), Some(&*tree.folder), None)
        }
    };
    let direction = match entry.direction {
        Direction::Get => TransferKind::Download,
        Direction::Put => TransferKind::Upload,
    };
    let mut command = CommandText::new("quiver");
    command.words(["resume"]);
    if let Some(file) = entry.file() {
        command.operands([file.local.to_string_lossy()]);
    }
    let local = local.map(Path::to_string_lossy);
    let mut can = vec![TransferAction::Resume, TransferAction::Remove];
    can.extend(local.is_some().then_some(TransferAction::Show));
    TransferView {
        transfer: TransferName::Unfinished(entry.id()).to_string(),
        number: None,
        process: String::new(),
        own: true,
        direction,
        with: entry.server.address.to_string(),
        names,
        state: TransferStage::Unfinished,
        files: None,
        files_done: 0,
        files_failed: 0,
        bytes,
        sent: 0,
        received: stored.unwrap_or(0),
        verified: 0,
        rate: None,
        seconds_left: None,
        path: Some(PathKind::Server),
        limited_by: None,
        started: entry.started,
        ended: None,
        error: None,
        can,
        local: local.map(std::borrow::Cow::into_owned),
        command: command.finish(),
    }
}

fn stage(state: TransferState) -> TransferStage {
    match state {
        TransferState::Planning => TransferStage::Planning,
        TransferState::WaitingForAnswer => TransferStage::Waiting,
        TransferState::Running => TransferStage::Running,
        TransferState::Paused => TransferStage::Paused,
        TransferState::Reconnecting => TransferStage::Reconnecting,
        TransferState::Done => TransferStage::Done,
        TransferState::Failed => TransferStage::Failed,
        TransferState::Cancelled => TransferStage::Cancelled,
    }
}
