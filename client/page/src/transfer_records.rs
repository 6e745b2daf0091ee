//! What the page knows about transfers beside their status: when they started, with whom they are, and how to repeat
//! them. Transfers nothing itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use quiver_client::transfers::{OtherSide, TransferId, TransferStatus};
use quiver_control::TransferName;
use quiver_control::facts::TransferFacts;
use quiver_control::view::{PathKind, TransferView};

use crate::messages::OnConflict;

/// What runs the transfers of this process.
pub(crate) const PROCESS: &str = "page";

/// The server, as the other side of a transfer.
pub(crate) const SERVER: &str = "server";

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
    /// What it shows of it.
    pub(crate) facts: TransferFacts,
    /// The request; `None` if the client has started it by itself, or it is resumed.
    pub(crate) request: Option<TransferRequest>,
}

#[derive(Debug)]
struct TrackedTransfer {
    record: TransferRecord,
    is_removed: bool,
}

/// The transfers of the present client.
#[derive(Debug, Default)]
pub(crate) struct TransferRecords(BTreeMap<TransferId, TrackedTransfer>);

impl TransferRecord {
    /// A transfer that the client has started by itself, or that is resumed.
    fn of_status(status: &TransferStatus) -> Self {
        let mut facts = TransferFacts { is_listed: true, ..TransferFacts::of_status(status) };
        if matches!(status.other, OtherSide::Server(_)) {
            facts.with = SERVER.to_owned();
        }
        Self { facts, request: None }
    }
}

impl TransferRequest {
    /// The folder of its files on this computer.
    pub(crate) fn local(&self) -> Option<String> {
        match self {
            Self::Get { folder, .. } | Self::Accept { folder, .. } => {
                Some(folder.display().to_string())
            }
            Self::Put { paths, .. } => {
                paths.first()?.parent().map(|folder| folder.display().to_string())
            }
        }
    }
}

impl TransferRecords {
    /// Adds what is known about a transfer that starts.
    pub(crate) fn add(&mut self, id: TransferId, record: TransferRecord) {
        self.0.insert(id, TrackedTransfer { record, is_removed: false });
    }

    /// The request that started a transfer.
    pub(crate) fn request(&self, id: TransferId) -> Option<TransferRequest> {
        self.0.get(&id)?.record.request.clone()
    }

    /// The transfer that fetches an offer now, or did so last.
    pub(crate) fn transfer_of_offer(&self, number: u64) -> Option<String> {
        let is_of = |tracked: &TrackedTransfer| matches!(tracked.record.request, Some(TransferRequest::Accept { offer, .. }) if offer == number);
        let found = self.0.iter().rev().find(|(_, tracked)| is_of(tracked));
        found.map(|(id, _)| TransferName::own(*id).to_string())
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

    /// The transfers as the page shows them. `path_to` knows the path to a client.
    pub(crate) fn views(
        &mut self,
        statuses: &[TransferStatus],
        path_to: impl Fn(&str) -> Option<PathKind>,
    ) -> Vec<TransferView> {
        // The client forgets old ones.
        self.0.retain(|id, _| statuses.iter().any(|status| status.id == *id));
        let mut views = Vec::new();
        for status in statuses {
            let of_status =
                || TrackedTransfer { record: TransferRecord::of_status(status), is_removed: false };
            let tracked = self.0.entry(status.id).or_insert_with(of_status);
            if !tracked.is_removed {
                views.push(tracked.record.facts.view(PROCESS, status, &path_to));
            }
        }
        views
    }
}

#[cfg(test)]
mod tests {
    use std::process;

    use chrono::DateTime;
    use quiver_client::address::ServerAddress;
    use quiver_client::journal::Direction;
    use quiver_client::transfers::TransferState;
    use quiver_control::view::{TransferAction, TransferKind};
    use quiver_protocol::{ClientName, Timestamp};

    use super::*;

    fn status(id: u64, other: OtherSide, named: &str, state: TransferState) -> TransferStatus {
        TransferStatus {
            id: TransferId(id),
            direction: Direction::Get,
            other,
            named: vec![named.to_owned()],
            state,
            is_pausable: true,
            started: Timestamp(DateTime::from_timestamp(1, 0).unwrap()),
            ended: None,
            files: Some(2),
            files_done: 1,
            files_failed: 1,
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

    fn server() -> OtherSide {
        OtherSide::Server(ServerAddress::local())
    }

    fn views(records: &mut TransferRecords, status: &TransferStatus) -> Vec<TransferView> {
        records.views(std::slice::from_ref(status), |_| Some(PathKind::Direct))
    }

    #[test]
    fn a_transfer_offers_what_is_possible() {
        use TransferAction::{Cancel, Pause, Remove, Retry, Show};
        let mut records = TransferRecords::default();
        let request = TransferRequest::Get {
            paths: vec!["a".to_owned()],
            folder: PathBuf::from("/h"),
            on_conflict: OnConflict::Ask,
        };
        let running = status(1, server(), "a", TransferState::Running);
        let facts = TransferFacts {
            local: request.local(),
            is_listed: true,
            is_repeatable: true,
            ..TransferFacts::of_status(&running)
        };
        records.add(TransferId(1), TransferRecord { facts, request: Some(request.clone()) });
        let view = views(&mut records, &running).remove(0);
        assert_eq!(view.transfer, format!("{}:1", process::id()));
        assert_eq!((view.process.as_str(), view.own, view.files_failed), ("page", true, 1));
        assert_eq!(view.can, [Pause, Cancel, Show]);
        assert_eq!((view.path, view.local.as_deref()), (Some(PathKind::Server), Some("/h")));
        let streamed = TransferStatus { is_pausable: false, ..running };
        assert_eq!(views(&mut records, &streamed)[0].can, [Cancel, Show]);
        let failed = status(1, server(), "a", TransferState::Failed);
        assert_eq!(views(&mut records, &failed)[0].can, [Retry, Remove, Show]);
        assert_eq!(records.request(TransferId(1)), Some(request));
        records.remove(TransferId(1));
        assert_eq!(views(&mut records, &failed), []);
    }

    #[test]
    fn an_offer_that_the_client_fetches_by_itself_is_received_from_its_sender() {
        let mut records = TransferRecords::default();
        let ann = OtherSide::Client(ClientName::parse("Ann").unwrap());
        let fetched = status(1, ann, "offer 7", TransferState::Running);
        let view = views(&mut records, &fetched).remove(0);
        assert_eq!((view.direction, view.with.as_str()), (TransferKind::Receive, "@Ann"));
        assert_eq!(view.path, Some(PathKind::Direct));
        assert_eq!(view.command, "quiver accept 7");
        let file = status(2, server(), "offer 7", TransferState::Running);
        let view = views(&mut records, &file).remove(0);
        assert_eq!((view.direction, view.with.as_str()), (TransferKind::Download, "server"));
    }
}
