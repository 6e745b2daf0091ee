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
use crate::views::{PathKind, TransferAction, TransferKind, TransferStage, TransferView};

/// Requested paths of a transfer that are shown.
const MAX_NAMES: usize = 20;

/// A request that starts a transfer, and that can be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TransferRequest {
    Get { paths: Vec<String>, folder: PathBuf, on_conflict: OnConflict },
    Put { paths: Vec<PathBuf>, to: String, on_conflict: OnConflict },
    Accept { offer: u64, folder: PathBuf },
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
pub(crate) struct TransferRecords(BTreeMap<TransferId, TrackedTransfer>);

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
        self.0.entry(id).or_insert(TrackedTransfer {
            record,
            started: now,
            ended: None,
            files_failed: 0,
            is_removed: false,
        })
    }

    /// Counts a file that failed.
    pub(crate) fn count_failed_file(&mut self, status: &TransferStatus, now: Timestamp) {
        self.track(status.id, TransferRecord::of_status(status), now).files_failed += 1;
    }

    /// The request that started a transfer.
    pub(crate) fn request(&self, id: TransferId) -> Option<TransferRequest> {
        self.0.get(&id)?.record.request.clone()
    }

    /// The transfer that fetches an offer now, or did so last.
    pub(crate) fn transfer_of_offer(&self, number: u64) -> Option<String> {
        let is_of = |tracked: &TrackedTransfer| matches!(tracked.record.request, Some(TransferRequest::Accept { offer, .. }) if offer == number);
        self.0.iter().rev().find(|(_, tracked)| is_of(tracked)).map(|(id, _)| name(*id))
    }

    /// Removes a transfer from the list.
    pub(crate) fn remove(&mut self, id: TransferId) {
        if let Some(tracked) = self.0.get_mut(&id) {
            tracked.is_removed = true;
        }
    }

    /// Forgets all transfers: the client that ran them is no more.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The transfers as the page shows them. `sender_of` knows the sender of an offer, `path_to` the path to a client.
    pub(crate) fn views(
        &mut self,
        statuses: &[TransferStatus],
        now: Timestamp,
        sender_of: impl Fn(u64) -> Option<String>,
        path_to: impl Fn(&str) -> Option<PathKind>,
    ) -> Vec<TransferView> {
        // The client forgets old ones.
        self.0.retain(|id, _| statuses.iter().any(|status| status.id == *id));
        let mut views = Vec::new();
        for status in statuses {
            let tracked = self.track(status.id, TransferRecord::of_status(status), now);
            if tracked.record.with.is_empty() {
                let sender = offer_number(status).and_then(&sender_of);
                tracked.record.with = sender.map(|name| format!("@{name}")).unwrap_or_default();
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
            names: status.named.iter().take(MAX_NAMES).cloned().collect(),
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

    fn actions(&self, state: TransferState) -> Vec<TransferAction> {
        use TransferAction::{Cancel, Pause, Remove, Resume, Retry, Show};
        let mut actions = match state {
            TransferState::Paused => vec![Resume, Cancel],
            TransferState::Planning
            | TransferState::WaitingForAnswer
            | TransferState::Running
            | TransferState::Reconnecting => vec![Pause, Cancel],
            TransferState::Done => vec![Remove],
            TransferState::Failed | TransferState::Cancelled if self.record.request.is_some() => {
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
mod tests {
    use chrono::DateTime;

    use super::*;

    fn status(id: u64, named: &str, state: TransferState) -> TransferStatus {
        TransferStatus {
            id: TransferId(id),
            direction: Direction::Get,
            named: vec![named.to_owned()],
            state,
            files: Some(2),
            files_done: 1,
            bytes: Some(10),
            sent: 4,
            received: 4,
            verified: 2,
            rate: None,
            time_left: None,
            limited_by: None,
            error: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp(DateTime::from_timestamp(second, 0).unwrap())
    }

    fn views(
        records: &mut TransferRecords,
        status: &TransferStatus,
        second: i64,
    ) -> Vec<TransferView> {
        let sender = |number| (number == 7).then(|| "Ann".to_owned());
        records.views(std::slice::from_ref(status), at(second), sender, |_| Some(PathKind::Direct))
    }

    #[test]
    fn a_transfer_keeps_its_times_and_offers_what_is_possible() {
        let mut records = TransferRecords::default();
        let request = TransferRequest::Get {
            paths: vec!["a".to_owned()],
            folder: PathBuf::from("/h"),
            on_conflict: OnConflict::Ask,
        };
        let record = TransferRecord {
            kind: TransferKind::Download,
            with: "server".to_owned(),
            command: "quiver get a".to_owned(),
            request: Some(request.clone()),
        };
        records.add(TransferId(1), record, at(1));
        let running = status(1, "a", TransferState::Running);
        records.count_failed_file(&running, at(2));
        let view = views(&mut records, &running, 3).remove(0);
        assert_eq!((view.started, view.ended, view.files_failed), (at(1), None, 1));
        assert_eq!(view.can, [TransferAction::Pause, TransferAction::Cancel, TransferAction::Show]);
        assert_eq!((view.path, view.local.as_deref()), (Some(PathKind::Server), Some("/h")));
        let failed = status(1, "a", TransferState::Failed);
        assert_eq!(views(&mut records, &failed, 4)[0].ended, Some(at(4)));
        let view = views(&mut records, &failed, 5).remove(0);
        assert_eq!(view.ended, Some(at(4)));
        assert_eq!(view.can, [TransferAction::Retry, TransferAction::Remove, TransferAction::Show]);
        assert_eq!(records.request(TransferId(1)), Some(request));
        records.remove(TransferId(1));
        assert_eq!(views(&mut records, &failed, 6), []);
    }

    #[test]
    fn an_offer_that_the_client_fetches_by_itself_is_received_from_its_sender() {
        let mut records = TransferRecords::default();
        let view = views(&mut records, &status(1, "offer 7", TransferState::Running), 1).remove(0);
        assert_eq!((view.direction, view.with.as_str()), (TransferKind::Receive, "@Ann"));
        assert_eq!(view.path, Some(PathKind::Direct));
        let view = views(&mut records, &status(2, "offer x", TransferState::Running), 1).remove(0);
        assert_eq!(view.direction, TransferKind::Download);
    }

    #[test]
    fn a_name_is_of_this_process() {
        assert_eq!(parse_name(&name(TransferId(3))), Some(TransferId(3)));
        for other in ["", "3", ":3", "1:3", "x:3", &format!("{}:x", process::id())] {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }
}
