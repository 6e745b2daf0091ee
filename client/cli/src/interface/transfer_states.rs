//! What a new state of a transfer means for the person: its progress, pauses, and failures that no command waits for.

use quiver_client::transfers::{TransferId, TransferState, TransferSummary};

use super::Interface;
use crate::failure::Failure;
use crate::output::human;
use crate::output::human::progress_line::ProgressState;

/// The files of a transfer that were reported one by one.
#[derive(Debug, Default)]
pub(super) struct FileTally {
    moved: u64,
    bytes: u64,
    /// Files that were there already.
    pub(super) same: u64,
}

impl FileTally {
    /// Counts a transferred file.
    pub(super) fn add(&mut self, bytes: u64) {
        self.moved += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Interface {
    /// Shows the progress of a transfer from the moment in which its first file may be transferred.
    pub(super) fn show_progress(&mut self, id: TransferId, state: TransferState) {
        if state.is_over() {
            self.displayed.remove(&id);
        } else if state == TransferState::Running && self.displayed.insert(id) {
            let client = self.client.clone();
            self.output.show_progress(Box::new(move || {
                client
                    .transfer(id)
                    .map_or(ProgressState::Over, |status| ProgressState::of_transfer(&status))
            }));
        }
    }

    /// Sums up a transfer of several files that has succeeded. The failure of some is a summary too.
    pub(super) async fn show_tally(&mut self, id: TransferId, state: TransferState) {
        let Some(FileTally { moved, bytes, same }) = self.tallies.remove(&id) else { return };
        if state != TransferState::Done || moved + same < 2 {
            return;
        }
        if let Ok(status) = self.client.transfer(id) {
            let took = status.ended.map(|ended| ended.0 - status.started.0);
            let took = took.and_then(|took| took.to_std().ok()).unwrap_or_default();
            let summary =
                TransferSummary { moved, bytes, same, took, ..TransferSummary::default() };
            self.output.say(human::summary(&summary, status.direction)).await;
        }
    }

    /// Says how a transfer has ended, to a person who wants details.
    pub(super) async fn show_end(&self, id: TransferId) {
        let Ok(status) = self.client.transfer(id) else { return };
        self.output.detail(|| human::details::ended(&status)).await;
        if let Some(path) = self.client.server_path() {
            self.output.detail(|| human::details::path(&path)).await;
        }
    }

    /// Says that a transfer is paused, and that it continues: another process may have done that.
    pub(super) async fn show_pause(&mut self, id: TransferId, state: TransferState) {
        let what = if state == TransferState::Paused {
            self.paused.insert(id);
            "the transfer is paused"
        } else if self.paused.remove(&id) && !state.is_over() {
            "the transfer continues"
        } else {
            return;
        };
        if let Ok(status) = self.client.transfer(id) {
            self.output.say(human::transfers::pause(&status.named, what)).await;
        }
    }

    /// Reports the failure of a transfer that no command waits for, such as an offer that was accepted in an earlier
    /// run. Transfers that are resumed together report theirs as events.
    pub(super) async fn show_unawaited_failure(&self, id: TransferId) {
        if let Ok(status) = self.client.transfer(id)
            && let Some(error) = status.error
        {
            self.output.failure(&Failure::Client(error)).await;
        }
    }
}
