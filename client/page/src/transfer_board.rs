//! The transfers that the pages show: of this process, of others, and unfinished ones.

use std::collections::{BTreeMap, BTreeSet};

use quiver_control::view::TransferView;
use tokio::sync::watch;

/// Where transfers are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TransferOrigin {
    /// The client of this process.
    Own,
    /// Other processes of this user.
    Others,
    /// No process runs them.
    Unfinished,
}

/// All transfers, by origin and name.
#[derive(Debug, Default)]
pub(crate) struct TransferBoard {
    shown: BTreeMap<TransferOrigin, BTreeMap<String, TransferView>>,
    /// Changes with the transfers of this process.
    own_version: watch::Sender<u64>,
}

/// What a replacement has changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BoardChange {
    /// Transfers that are new or changed.
    pub(crate) changed: Vec<TransferView>,
    /// The names of those that are gone.
    pub(crate) gone: Vec<String>,
}

impl TransferBoard {
    /// Replaces the transfers of an origin; `None` if none of them has changed.
    pub(crate) fn replace(
        &mut self,
        origin: TransferOrigin,
        transfers: Vec<TransferView>,
    ) -> Option<BoardChange> {
        let shown = self.shown.entry(origin).or_default();
        let present: BTreeSet<&String> = transfers.iter().map(|view| &view.transfer).collect();
        let gone: Vec<_> = shown.keys().filter(|name| !present.contains(name)).cloned().collect();
        let is_changed = |view: &&TransferView| shown.get(&view.transfer) != Some(view);
        let changed: Vec<_> = transfers.iter().filter(is_changed).cloned().collect();
        if changed.is_empty() && gone.is_empty() {
            return None;
        }
        *shown = transfers.into_iter().map(|view| (view.transfer.clone(), view)).collect();
        if origin == TransferOrigin::Own {
            self.own_version.send_modify(|version| *version += 1);
        }
        Some(BoardChange { changed, gone })
    }

    /// All transfers.
    pub(crate) fn all(&self) -> Vec<TransferView> {
        self.shown.values().flat_map(BTreeMap::values).cloned().collect()
    }

    /// The transfers of this process.
    pub(crate) fn own(&self) -> Vec<TransferView> {
        let own = self.shown.get(&TransferOrigin::Own).into_iter();
        own.flat_map(BTreeMap::values).cloned().collect()
    }

    /// Tells when the transfers of this process change.
    pub(crate) fn own_changes(&self) -> watch::Receiver<u64> {
        self.own_version.subscribe()
    }
}
