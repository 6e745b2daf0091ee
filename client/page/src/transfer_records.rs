//! What the page knows about transfers beside their status: when they started, with whom they are, and how to repeat
//! them. Transfers nothing itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use quiver_client::transfers::{OtherSide, TransferId, TransferState, TransferStatus};
use quiver_control::TransferName;
use quiver_control::facts::{TransferFacts, offer_number};
use quiver_control::view::{PathKind, TransferView};

use crate::messages::OnConflict;
use crate::spool::{DropFate, DropId};

/// What runs the transfers of this process.
pub(crate) const PROCESS: &str = "page";

/// The server, as the other side of a transfer.
pub(crate) const SERVER: &str = "server";

/// A request that starts a transfer, and that can be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TransferRequest {
    Get { paths: Vec<String>, folder: PathBuf, on_conflict: OnConflict },
    Put { paths: Vec<PathBuf>, to: String, on_conflict: OnConflict },
    PutSpooled { dropped: DropId, to: String, on_conflict: OnConflict },
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
pub(crate) struct TransferRecords {
    tracked: BTreeMap<TransferId, TrackedTransfer>,
    /// The folders of offers that were accepted by themselves.
    accepted: BTreeMap<u64, PathBuf>,
}

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
    /// The folder of the server to which it sends files.
    pub(crate) fn server_folder(&self) -> Option<&str> {
        match self {
            Self::Put { to, .. } | Self::PutSpooled { to, .. } => Some(to),
            Self::Get { .. } | Self::Accept { .. } => None,
        }
    }

    /// The folder of its files on this computer.
    pub(crate) fn local(&self) -> Option<String> {
        match self {
            Self::Get { folder, .. } | Self::Accept { folder, .. } => {
                Some(folder.display().to_string())
            }
            Self::Put { paths, .. } => {
                paths.first()?.parent().map(|folder| folder.display().to_string())
            }
            Self::PutSpooled { .. } => None,
        }
    }
}

impl TransferRecords {
    /// Adds what is known about a transfer that starts.
    pub(crate) fn add(&mut self, id: TransferId, record: TransferRecord) {
        self.tracked.insert(id, TrackedTransfer { record, is_removed: false });
    }

    /// Records that an offer was accepted by itself, whose transfer the client starts.
    pub(crate) fn add_accepted(&mut self, offer: u64, folder: PathBuf) {
        self.accepted.insert(offer, folder);
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

    /// The request that started a transfer.
    pub(crate) fn request(&self, id: TransferId) -> Option<TransferRequest> {
        self.tracked.get(&id)?.record.request.clone()
    }

    /// The transfer that fetches an offer now, or did so last.
    pub(crate) fn transfer_of_offer(&self, number: u64) -> Option<String> {
        let is_of = |tracked: &TrackedTransfer| matches!(tracked.record.request, Some(TransferRequest::Accept { offer, .. }) if offer == number);
        let found = self.tracked.iter().rev().find(|(_, tracked)| is_of(tracked));
        found.map(|(id, _)| TransferName::own(*id).to_string())
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

    /// The transfers as the page shows them. `folder_of` knows the folder of an accepted offer, `path_to` the path to a
    /// client.
    pub(crate) fn views(
        &mut self,
        statuses: &[TransferStatus],
        folder_of: impl Fn(u64) -> Option<PathBuf>,
        path_to: impl Fn(&str) -> Option<PathKind>,
    ) -> Vec<TransferView> {
        // The client forgets old ones.
        self.tracked.retain(|id, _| statuses.iter().any(|status| status.id == *id));
        let (mut views, mut accepted) = (Vec::new(), std::mem::take(&mut self.accepted));
        for status in statuses {
            let of_status =
                || TrackedTransfer { record: TransferRecord::of_status(status), is_removed: false };
            let tracked = self.tracked.entry(status.id).or_insert_with(of_status);
            if tracked.record.request.is_none()
                && let Some(offer) = offer_number(status)
                && let Some(folder) = accepted.remove(&offer).or_else(|| folder_of(offer))
            {
                let TransferRecord { facts, request } = &mut tracked.record;
                facts.local = Some(folder.display().to_string());
                facts.is_repeatable = true;
                *request = Some(TransferRequest::Accept { offer, folder });
            }
            if !tracked.is_removed {
                views.push(tracked.view(status, &path_to));
            }
        }
        self.accepted = accepted;
        views
    }
}

impl TrackedTransfer {
    fn view(
        &self,
        status: &TransferStatus,
        path_to: impl Fn(&str) -> Option<PathKind>,
    ) -> TransferView {
        let TransferRecord { facts, request } = &self.record;
        if !matches!(request, Some(TransferRequest::PutSpooled { .. })) {
            return facts.view(PROCESS, status, path_to);
        }
        // Dropped content is gone after a cancellation, and its folder says nothing.
        let is_repeatable = status.state == TransferState::Failed;
        let facts = TransferFacts { is_repeatable, ..facts.clone() };
        let mut view = facts.view(PROCESS, status, path_to);
        for name in &mut view.names {
            *name = name.rsplit('/').next().unwrap_or(name).to_owned();
        }
        view
    }
}

#[cfg(test)]
mod tests;
