//! The transfers that the pages show: of this process, of others, and unfinished ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quiver_control::view::TransferView;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// The least time between two reports of changes, whatever their origins.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

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
    /// What pages do not know yet.
    changed: BTreeMap<String, TransferView>,
    gone: BTreeSet<String>,
    last_report: Option<Instant>,
    has_changed: Arc<Notify>,
}

/// What has changed since the last report.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BoardChange {
    /// Transfers that are new or changed.
    pub(crate) changed: Vec<TransferView>,
    /// The names of those that are gone.
    pub(crate) gone: Vec<String>,
}

impl TransferBoard {
    /// Replaces the transfers of an origin.
    pub(crate) fn replace(&mut self, origin: TransferOrigin, transfers: Vec<TransferView>) {
        let shown = self.shown.entry(origin).or_default();
        let present: BTreeSet<&String> = transfers.iter().map(|view| &view.transfer).collect();
        let gone: Vec<_> = shown.keys().filter(|name| !present.contains(name)).cloned().collect();
        let is_changed = |view: &&TransferView| shown.get(&view.transfer) != Some(view);
        let changed: Vec<_> = transfers.iter().filter(is_changed).cloned().collect();
        if changed.is_empty() && gone.is_empty() {
            return;
        }
        for name in gone {
            self.changed.remove(&name);
            self.gone.insert(name);
        }
        for view in changed {
            self.gone.remove(&view.transfer);
            self.changed.insert(view.transfer.clone(), view);
        }
        *shown = transfers.into_iter().map(|view| (view.transfer.clone(), view)).collect();
        self.has_changed.notify_one();
        if origin == TransferOrigin::Own {
            self.own_version.send_modify(|version| *version += 1);
        }
    }

    /// Notified when there is something to report.
    pub(crate) fn changes(&self) -> Arc<Notify> {
        self.has_changed.clone()
    }

    /// When the next report may be made; `None` if there is nothing to report.
    pub(crate) fn report_due(&self, now: Instant) -> Option<Instant> {
        let is_empty = self.changed.is_empty() && self.gone.is_empty();
        let due = self.last_report.map_or(now, |last| now.max(last + REPORT_INTERVAL));
        (!is_empty).then_some(due)
    }

    /// What has changed since the last report, if a report may be made now.
    pub(crate) fn report(&mut self, now: Instant) -> Option<BoardChange> {
        self.report_due(now).filter(|due| *due <= now)?;
        self.last_report = Some(now);
        let changed = std::mem::take(&mut self.changed).into_values().collect();
        let gone = std::mem::take(&mut self.gone).into_iter().collect();
        Some(BoardChange { changed, gone })
    }

    /// All pages get a snapshot: there is nothing to report.
    pub(crate) fn clear_report(&mut self) {
        self.changed.clear();
        self.gone.clear();
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

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use quiver_control::view::{TransferKind, TransferStage};
    use quiver_protocol::Timestamp;

    use super::*;

    fn view(transfer: &str, received: u64) -> TransferView {
        TransferView {
            transfer: transfer.to_owned(),
            number: None,
            process: "page".to_owned(),
            own: true,
            direction: TransferKind::Download,
            with: "server".to_owned(),
            names: Vec::new(),
            state: TransferStage::Running,
            files: None,
            files_done: 0,
            files_failed: 0,
            bytes: None,
            sent: 0,
            received,
            verified: 0,
            rate: None,
            seconds_left: None,
            path: None,
            limited_by: None,
            started: Timestamp(DateTime::UNIX_EPOCH),
            ended: None,
            error: None,
            can: Vec::new(),
            local: None,
            command: String::new(),
        }
    }

    #[test]
    fn changes_of_all_origins_are_reported_together_and_only_the_latest() {
        use TransferOrigin::{Others, Own};
        let (mut board, start) = (TransferBoard::default(), Instant::now());
        assert_eq!(board.report_due(start), None);
        let own = board.own_changes();
        board.replace(Own, vec![view("1:1", 1)]);
        assert!(own.has_changed().unwrap());
        let report = board.report(start).unwrap();
        assert_eq!((report.changed, report.gone), (vec![view("1:1", 1)], Vec::new()));
        board.replace(Own, vec![view("1:1", 1)]);
        assert_eq!(board.report_due(start), None);
        board.replace(Own, vec![view("1:1", 2)]);
        board.replace(Others, vec![view("2:1", 1), view("2:2", 1)]);
        board.replace(Others, vec![view("2:1", 2)]);
        board.replace(Own, vec![view("1:1", 3)]);
        assert_eq!(board.report_due(start), Some(start + REPORT_INTERVAL));
        assert_eq!(board.report(start), None);
        let report = board.report(start + REPORT_INTERVAL).unwrap();
        assert_eq!(report.changed, [view("1:1", 3), view("2:1", 2)]);
        assert_eq!(report.gone, ["2:2"]);
        assert_eq!(board.all(), [view("1:1", 3), view("2:1", 2)]);
        // One that is back is not gone.
        board.replace(Own, Vec::new());
        board.replace(Own, vec![view("1:1", 4)]);
        let report = board.report(start + 2 * REPORT_INTERVAL).unwrap();
        assert_eq!((report.changed, report.gone), (vec![view("1:1", 4)], Vec::new()));
    }
}
