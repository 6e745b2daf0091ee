//! The transfers of this process: state, counters, files and events. Transfers no content itself.

mod control;
mod counters;
mod files;
mod planned;
mod rate_estimator;
mod status;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::Utc;
use parking_lot::Mutex;
use quiver_protocol::{FilePath, Timestamp};
use quiver_transfer::TransferBottleneck;
use tokio::sync::watch;

use crate::error::{ClientError, InvalidRequest};
use crate::journal::Direction;
pub(crate) use control::TransferControl;
pub(crate) use counters::{FileBytesCounter, TransferCounters};
pub(crate) use files::TransferFiles;
pub use files::{FileState, TransferFile};
pub use planned::{PlanSummary, PlannedAction, PlannedCopy, PlannedFile};
pub use status::{
    DownloadedFile, OtherSide, ServedOffer, TransferEvent, TransferState, TransferStatus,
    TransferSummary, UploadedFile,
};

/// Number of finished transfers that stay listed. A further one removes the oldest.
const MAX_FINISHED: usize = 100;

/// Number of finished transfers whose plans are kept, so that their files can still be listed.
const MAX_FINISHED_PLANS: usize = 3;

/// A transfer's number in this process, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId(pub u64);

/// A transfer, shared by its tasks.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) id: TransferId,
    direction: Direction,
    other: OtherSide,
    /// The requested paths as typed.
    named: Vec<String>,
    started: Timestamp,
    pub(crate) control: TransferControl,
    pub(crate) counters: TransferCounters,
    pub(crate) files: TransferFiles,
    /// The path of the file that was started last.
    current_file: Mutex<Option<FilePath>>,
    /// Absolute paths of its target files.
    targets: Mutex<Vec<PathBuf>>,
    state: Mutex<LifecycleState>,
}

#[derive(Debug)]
struct LifecycleState {
    /// The state without regard to a pause.
    phase: TransferState,
    /// The state that was published last.
    published: TransferState,
    error: Option<Arc<ClientError>>,
    limited_by: Option<TransferBottleneck>,
    ended: Option<Timestamp>,
}

/// All transfers of a client. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transfers(Arc<TransferRegistry>);

#[derive(Debug, Default)]
struct TransferRegistry {
    table: Mutex<TransferTable>,
    /// The number of the last transfer.
    last: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct TransferTable {
    last: u64,
    transfers: BTreeMap<TransferId, Arc<Transfer>>,
}

impl Transfers {
    /// Adds a transfer in state [`Planning`](TransferState::Planning). A transfer with streamed
    /// content cannot be paused.
    pub(crate) fn add(
        &self,
        direction: Direction,
        other: OtherSide,
        named: Vec<String>,
        is_streamed: bool,
    ) -> Arc<Transfer> {
        let mut all = self.0.table.lock();
        all.last += 1;
        let id = TransferId(all.last);
        let transfer = Arc::new(Transfer {
            id,
            direction,
            other,
            named,
            started: Timestamp(Utc::now()),
            control: TransferControl::new(!is_streamed),
            counters: TransferCounters::default(),
            files: TransferFiles::default(),
            current_file: Mutex::default(),
            targets: Mutex::default(),
            state: Mutex::new(LifecycleState {
                phase: TransferState::Planning,
                published: TransferState::Planning,
                error: None,
                limited_by: None,
                ended: None,
            }),
        });
        all.transfers.insert(id, transfer.clone());
        let finished = all.transfers.values().filter(|transfer| transfer.state().is_over());
        let finished: Vec<TransferId> = finished.map(|transfer| transfer.id).collect();
        for id in finished.iter().take(finished.len().saturating_sub(MAX_FINISHED)) {
            all.transfers.remove(id);
        }
        // A plan has a file and some memory of its own.
        for id in finished.iter().take(finished.len().saturating_sub(MAX_FINISHED_PLANS)) {
            if let Some(transfer) = all.transfers.get(id) {
                transfer.files.forget_plan();
            }
        }
        drop(all);
        self.0.last.send_replace(id.0);
        transfer
    }

    /// Waits until there is a transfer, running or not.
    pub(crate) async fn wait_for_first(&self) {
        // Fails only after the sender is dropped, and `self` owns it.
        let _ = self.0.last.subscribe().wait_for(|last| *last > 0).await;
    }

    /// Returns the status of all transfers, by number.
    pub(crate) fn statuses(&self) -> Vec<TransferStatus> {
        let all: Vec<_> = self.0.table.lock().transfers.values().cloned().collect();
        all.iter().map(|transfer| transfer.status()).collect()
    }

    /// Returns the first of these targets that a running transfer writes to.
    pub(crate) fn find_busy_target(&self, targets: &[PathBuf]) -> Option<PathBuf> {
        let all = self.0.table.lock();
        let running = || all.transfers.values().filter(|transfer| !transfer.state().is_over());
        let is_taken =
            |target: &&PathBuf| running().any(|transfer| transfer.targets.lock().contains(target));
        targets.iter().find(is_taken).cloned()
    }

    /// Finds a transfer.
    pub(crate) fn find(&self, id: TransferId) -> Result<Arc<Transfer>, InvalidRequest> {
        self.0.table.lock().transfers.get(&id).cloned().ok_or(InvalidRequest::UnknownTransfer(id.0))
    }
}

impl Transfer {
    /// Returns the current status.
    pub(crate) fn status(&self) -> TransferStatus {
        let state = self.state.lock();
        let (error, limited_by, ended) = (state.error.clone(), state.limited_by, state.ended);
        let state = self.visible_state(state.phase);
        let is_moving = !state.is_over() && state != TransferState::Paused;
        let (counters, files_failed) = (&self.counters, self.files.failed_count());
        let bytes = counters.bytes(files_failed);
        let rate = counters.rate().filter(|_| is_moving);
        TransferStatus {
            id: self.id,
            direction: self.direction,
            other: self.other.clone(),
            named: self.named.clone(),
            state,
            is_pausable: self.control.is_pausable(),
            started: self.started,
            ended,
            files: counters.files(),
            files_done: counters.files_done(),
            files_failed,
            current_file: self.current_file.lock().clone(),
            bytes,
            sent: counters.sent(),
            received: counters.received(),
            verified: counters.verified(),
            rate,
            time_left: counters.time_left(bytes, rate),
            limited_by,
            error,
        }
    }

    /// Sets the file that was started last.
    pub(crate) fn set_current_file(&self, path: FilePath) {
        *self.current_file.lock() = Some(path);
    }

    pub(crate) fn set_targets(&self, targets: Vec<PathBuf>) {
        *self.targets.lock() = targets;
    }

    /// Returns the state, [paused](TransferState::Paused) included.
    pub(crate) fn state(&self) -> TransferState {
        self.visible_state(self.state.lock().phase)
    }

    /// Returns the state without regard to a pause.
    pub(crate) fn phase(&self) -> TransferState {
        self.state.lock().phase
    }

    fn visible_state(&self, phase: TransferState) -> TransferState {
        if self.control.is_paused() && !phase.is_over() { TransferState::Paused } else { phase }
    }

    /// Sets the state, unless the transfer is over. Publishes the visible state if that changes.
    pub(crate) fn set_phase(&self, phase: TransferState, publish: impl FnOnce(TransferState)) {
        let mut state = self.state.lock();
        if !state.phase.is_over() {
            state.enter(phase);
        }
        self.publish_state(&mut state, publish);
    }

    /// Pauses or resumes the transfer. Publishes the visible state if that changes.
    pub(crate) fn set_paused(&self, is_paused: bool, publish: impl FnOnce(TransferState)) {
        let mut state = self.state.lock();
        self.control.set_paused(is_paused);
        self.publish_state(&mut state, publish);
    }

    /// Sets the state to failed, with the error, unless the transfer is over. Publishes the visible
    /// state if that changes.
    pub(crate) fn set_failed(
        &self,
        error: Option<Arc<ClientError>>,
        publish: impl FnOnce(TransferState),
    ) {
        let mut state = self.state.lock();
        if !state.phase.is_over() {
            state.enter(TransferState::Failed);
            state.error = error;
        }
        self.publish_state(&mut state, publish);
    }

    /// Publishes under the lock, so that states are published in their order.
    fn publish_state(&self, state: &mut LifecycleState, publish: impl FnOnce(TransferState)) {
        let visible = self.visible_state(state.phase);
        if std::mem::replace(&mut state.published, visible) != visible {
            publish(visible);
        }
    }

    /// Sets what limited the throughput.
    pub(crate) fn set_limited_by(&self, limited_by: Option<TransferBottleneck>) {
        self.state.lock().limited_by = limited_by;
    }
}

impl LifecycleState {
    fn enter(&mut self, phase: TransferState) {
        self.phase = phase;
        self.ended = phase.is_over().then(|| Timestamp(Utc::now()));
    }
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
