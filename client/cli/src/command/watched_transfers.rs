//! What `transfers --watch` has printed, and what has changed since then.

use std::collections::BTreeMap;

use quiver_control::view::{TransferStage, TransferView};
use serde::Serialize;

use crate::output::human;

/// The transfers that were printed last, by name.
#[derive(Debug, Default)]
pub(super) struct WatchedTransfers {
    shown: BTreeMap<String, TransferView>,
    last_event: u64,
}

/// What has changed, as a JSON object: an event of `client/page/web/messages.d.ts`.
#[derive(Debug, Serialize)]
pub(super) struct WatchedChange {
    event: u64,
    kind: &'static str,
    transfers: Vec<TransferView>,
    gone: Vec<String>,
    /// The transfers whose state has changed, or that have gone without an end.
    #[serde(skip)]
    new_states: Vec<TransferView>,
}

impl WatchedTransfers {
    /// Replaces the transfers; `None` if nothing has changed.
    pub(super) fn update(&mut self, transfers: Vec<TransferView>) -> Option<WatchedChange> {
        let present: BTreeMap<_, _> =
            transfers.into_iter().map(|view| (view.transfer.clone(), view)).collect();
        let mut changed: Vec<_> = present
            .values()
            .filter(|view| self.shown.get(&view.transfer) != Some(view))
            .cloned()
            .collect();
        changed.sort_by_key(|view| view.number.unwrap_or(u64::MAX));
        let gone: Vec<_> =
            self.shown.keys().filter(|name| !present.contains_key(*name)).cloned().collect();
        let old = std::mem::replace(&mut self.shown, present);
        if changed.is_empty() && gone.is_empty() && self.last_event > 0 {
            return None;
        }
        let state_of = |view: &TransferView| old.get(&view.transfer).map(|view| view.state);
        let mut new_states: Vec<_> = changed
            .iter()
            .filter(|view| state_of(view) != Some(view.state))
            // Those that had ended before are not news.
            .filter(|view| state_of(view).is_some() || !view.state.is_over())
            .cloned()
            .collect();
        let lost = gone.iter().filter_map(|name| old.get(name));
        let lost = lost.filter(|view| !view.state.is_over());
        new_states.extend(
            lost.map(|view| TransferView { state: TransferStage::Unfinished, ..view.clone() }),
        );
        self.last_event += 1;
        let event = self.last_event;
        Some(WatchedChange { event, kind: "transfers", transfers: changed, gone, new_states })
    }
}

impl WatchedChange {
    /// A row for each new state; `None` if there is none.
    pub(super) fn rows(&self) -> Option<String> {
        let rows: Vec<_> = self.new_states.iter().map(human::transfers::transfer).collect();
        (!rows.is_empty()).then(|| rows.join("\n"))
    }
}
