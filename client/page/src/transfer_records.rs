//! What the page knows about transfers beside their status: when they started, with whom they are, and how to repeat
//! them. Transfers nothing itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process;

use quiver_client::journal::Direction;
use quiver_client::transfers::{TransferId, TransferState, TransferStatus};
use quiver_protocol::Timestamp;

use crate::failure::Failure;
use crate::messages::OnConflict;
use crate::spool::{DropFate, DropId};
use crate::views::{
    IncomingOfferView, PathKind, TransferAction, TransferKind, TransferStage, TransferView,
};

/// Requested paths of a transfer that are shown.
const MAX_NAMES: usize = 20;

/// A request that starts a transfer, and that can be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TransferRequest {
    Get { paths: Vec<String>, folder: PathBuf, on_conflict: OnConflict },
    Put { paths: Vec<PathBuf>, to: String, on_conflict: OnConflict },
    PutSpooled { dropped: DropId, to: String, on_conflict: OnConflict },
    Accept { offer: u64, folder: PathBuf },
}

impl TransferRequest {
    /// The folder of the server to which it sends files.
    pub(crate) fn server_folder(&self) -> Option<&str> {
        match self {
            Self::Put { to, .. } | Self::PutSpooled { to, .. } => Some(to),
            Self::Get { .. } | Self::Accept { .. } => None,
        }
    }
}

/// Where an offer comes from, and where its files go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OfferSource {
    from: String,
    folder: Option<PathBuf>,
}

impl OfferSource {
    pub(crate) fn of(offer: &IncomingOfferView) -> Self {
        let folder = offer.folder.as_ref().map(PathBuf::from);
        Self { from: offer.from.to_string(), folder }
    }
}

/// What the page knows about a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransferRecord {
    /// Who sends what.
    pub(crate) kind: TransferKind,
    /// The other side, for display.
    pub(crate) with: String,
    /// The command that does the same.
    pub(crate) command: String,
    /// The request; `None` if the client has started it by itself.
    pub(crate) request: Option<TransferRequest>,
}

#[derive(Debug)]
struct TrackedTransfer {
    record: TransferRecord,
    started: Timestamp,
    ended: Option<Timestamp>,
    files_failed: u64,
    is_removed: bool,
}

/// The transfers of the present client.
#[derive(Debug, Default)]
pub(crate) struct TransferRecords {
    tracked: BTreeMap<TransferId, TrackedTransfer>,
    /// The offers that were accepted by themselves.
    accepted: BTreeMap<u64, OfferSource>,
}

impl TransferRecord {
    /// A transfer that the client has started by itself: it fetches an offer that was accepted before.
    fn of_status(status: &TransferStatus) -> Self {
        let offer = offer_number(status);
        let kind = match status.direction {
            Direction::Get if offer.is_some() => TransferKind::Receive,
            Direction::Get => TransferKind::Download,
            Direction::Put => TransferKind::Upload,
        };
        let command = offer.map(|number| format!("quiver accept {number}")).unwrap_or_default();
        Self { kind, with: String::new(), command, request: None }
    }

    /// The folder of its files on this computer.
    fn local(&self) -> Option<String> {
        match self.request.as_ref()? {
            TransferRequest::Get { folder, .. } | TransferRequest::Accept { folder, .. } => {
                Some(folder.display().to_string())
            }
            TransferRequest::Put { paths, .. } => {
                paths.first()?.parent().map(|folder| folder.display().to_string())
            }
            TransferRequest::PutSpooled { .. } => None,
        }
    }
}

/// The offer that a transfer fetches.
pub(crate) fn offer_number(status: &TransferStatus) -> Option<u64> {
    match status.named.as_slice() {
        [name] if status.direction == Direction::Get => name.strip_prefix("offer ")?.parse().ok(),
        _ => None,
    }
}

impl TransferRecords {
    /// Adds what is known about a transfer that starts.
    pub(crate) fn add(&mut self, id: TransferId, record: TransferRecord, now: Timestamp) {
        let tracked = self.track(id, record.clone(), now);
        tracked.record = record;
    }

    fn track(
        &mut self,
        id: TransferId,
        record: TransferRecord,
        now: Timestamp,
    ) -> &mut TrackedTransfer {
        self.tracked.entry(id).or_insert(TrackedTransfer {
            record,
            started: now,
            ended: None,
            files_failed: 0,
            is_removed: false,
        })
    }

    /// Records that an offer was accepted by itself, whose transfer the client starts.
    pub(crate) fn add_accepted(&mut self, offer: u64, from: String, folder: PathBuf) {
        self.accepted.insert(offer, OfferSource { from, folder: Some(folder) });
    }

    /// Counts a file that failed.
    pub(crate) fn count_failed_file(&mut self, status: &TransferStatus, now: Timestamp) {
        self.track(status.id, TransferRecord::of_status(status), now).files_failed += 1;
    }

    /// The request that started a transfer.
    pub(crate) fn request(&self, id: TransferId) -> Option<TransferRequest> {
        self.tracked.get(&id)?.record.request.clone()
    }

    /// The transfer that fetches an offer now, or did so last.
    pub(crate) fn transfer_of_offer(&self, number: u64) -> Option<String> {
        let is_of = |tracked: &TrackedTransfer| matches!(tracked.record.request, Some(TransferRequest::Accept { offer, .. }) if offer == number);
        self.tracked.iter().rev().find(|(_, tracked)| is_of(tracked)).map(|(id, _)| name(*id))
    }

    /// Whether a transfer of dropped content needs that still. A failed one does while it is listed.
    pub(crate) fn fate(&self, status: Option<&TransferStatus>) -> DropFate {
        match status.map(|status| (status.state, self.tracked.get(&status.id))) {
            None => DropFate::Over,
            Some((TransferState::Failed, Some(tracked))) if tracked.is_removed => DropFate::Over,
            Some((TransferState::Done | TransferState::Cancelled, _)) => DropFate::Over,
            Some(_) => DropFate::Needed,
        }
    }

    /// Removes a transfer from the list.
    pub(crate) fn remove(&mut self, id: TransferId) {
        if let Some(tracked) = self.tracked.get_mut(&id) {
            tracked.is_removed = true;
        }
    }

    /// Forgets all transfers: the client that ran them is no more.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The transfers as the page shows them. `source_of` knows the source of an offer, `path_to` the path to a client.
    pub(crate) fn views(
        &mut self,
        statuses: &[TransferStatus],
        now: Timestamp,
        source_of: impl Fn(u64) -> Option<OfferSource>,
        path_to: impl Fn(&str) -> Option<PathKind>,
    ) -> Vec<TransferView> {
        // The client forgets old ones.
        self.tracked.retain(|id, _| statuses.iter().any(|status| status.id == *id));
        let (mut views, mut accepted) = (Vec::new(), std::mem::take(&mut self.accepted));
        for status in statuses {
            let tracked = self.track(status.id, TransferRecord::of_status(status), now);
            if tracked.record.with.is_empty()
                && let Some(offer) = offer_number(status)
                && let Some(OfferSource { from, folder }) =
                    accepted.remove(&offer).or_else(|| source_of(offer))
            {
                let record = &mut tracked.record;
                record.with = format!("@{from}");
                let accept = folder.map(|folder| TransferRequest::Accept { offer, folder });
                record.request = record.request.take().or(accept);
            }
            if status.state.is_over() && tracked.ended.is_none() {
                tracked.ended = Some(now);
            }
            if !tracked.is_removed {
                let path = match tracked.record.with.strip_prefix('@') {
                    Some(name) => path_to(name),
                    None => Some(PathKind::Server),
                };
                views.push(tracked.view(status, path));
            }
        }
        self.accepted = accepted;
        views
    }
}

impl TrackedTransfer {
    fn view(&self, status: &TransferStatus, path: Option<PathKind>) -> TransferView {
        let record = &self.record;
        let other = match record.kind {
            TransferKind::Receive => "sender",
            TransferKind::Download | TransferKind::Upload => "server",
        };
        TransferView {
            transfer: name(status.id),
            process: "page",
            own: true,
            direction: record.kind,
            with: record.with.clone(),
            names: self.names(status),
            state: stage(status.state),
            files: status.files,
            files_done: status.files_done,
            files_failed: self.files_failed,
            bytes: status.bytes,
            sent: status.sent,
            received: status.received,
            verified: status.verified,
            rate: status.rate,
            seconds_left: status.time_left.map(|left| left.as_secs()),
            path,
            limited_by: status.limited_by.map(|limit| limit.describe(other)),
            started: self.started,
            ended: self.ended,
            error: status.error.clone().map(Failure::from),
            can: self.actions(status.state),
            local: record.local(),
            command: record.command.clone(),
        }
    }

    /// The requested paths; of dropped content, whose folder says nothing, the names.
    fn names(&self, status: &TransferStatus) -> Vec<String> {
        let named = status.named.iter().take(MAX_NAMES);
        match &self.record.request {
            Some(TransferRequest::PutSpooled { .. }) => {
                let name = |path: &String| path.rsplit('/').next().unwrap_or(path).to_owned();
                named.map(name).collect()
            }
            _ => named.cloned().collect(),
        }
    }

    /// Whether the request can be repeated after this end. Dropped content is gone after a cancellation.
    fn is_repeatable(&self, state: TransferState) -> bool {
        match &self.record.request {
            Some(TransferRequest::PutSpooled { .. }) => state == TransferState::Failed,
            request => request.is_some(),
        }
    }

    fn actions(&self, state: TransferState) -> Vec<TransferAction> {
        use TransferAction::{Cancel, Pause, Remove, Resume, Retry, Show};
        let mut actions = match state {
            TransferState::Paused => vec![Resume, Cancel],
            TransferState::Planning
            | TransferState::WaitingForAnswer
            | TransferState::Running
            | TransferState::Reconnecting => vec![Pause, Cancel],
            TransferState::Done => vec![Remove],
            TransferState::Failed | TransferState::Cancelled if self.is_repeatable(state) => {
                vec![Retry, Remove]
            }
            TransferState::Failed | TransferState::Cancelled => vec![Remove],
        };
        if self.record.local().is_some() {
            actions.push(Show);
        }
        actions
    }
}

/// The name of a transfer of this process.
pub(crate) fn name(id: TransferId) -> String {
    format!("{}:{id}", process::id())
}

/// The transfer of this process with this name.
pub(crate) fn parse_name(name: &str) -> Option<TransferId> {
    let (process, number) = name.split_once(':')?;
    let is_own = process.parse() == Ok(process::id());
    number.parse().ok().filter(|_| is_own).map(TransferId)
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

#[cfg(test)]
mod tests;
