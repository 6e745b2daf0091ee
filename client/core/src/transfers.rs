//! The transfers of this process: what each is, how far it is, and what is told of it. Moves nothing itself.

mod control;
mod counters;
mod files;
mod status;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use quiver_transfer::TransferBottleneck;

use crate::error::{ClientError, InvalidRequest};
use crate::journal::Direction;
pub(crate) use control::TransferControl;
pub(crate) use counters::{FileBytesCounter, TransferCounters};
pub(crate) use files::TransferFiles;
pub use files::{FileState, TransferFile};
pub use status::{
    DownloadedFile, PlannedFile, TransferEvent, TransferState, TransferStatus, TransferSummary,
    UploadedFile,
};

/// Transfers that are over and still shown; one more forgets the oldest.
const REMEMBERED: usize = 100;

/// Transfers that are over and of whose trees the files can still be looked at.
const PLANS_KEPT: usize = 3;

/// A transfer's number in this process, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId(pub u64);

/// A transfer, for all who work on it.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) id: TransferId,
    direction: Direction,
    /// What was asked for, as it was written.
    named: Vec<String>,
    pub(crate) control: TransferControl,
    pub(crate) counters: TransferCounters,
    pub(crate) files: TransferFiles,
    /// Where its files go, from the root.
    targets: Mutex<Vec<PathBuf>>,
    state: Mutex<TransferProgressState>,
}

#[derive(Debug)]
struct TransferProgressState {
    /// Where its work is: paused or not.
    phase: TransferState,
    /// The state that was told last.
    told: TransferState,
    error: Option<Arc<ClientError>>,
    limited_by: Option<TransferBottleneck>,
}

/// All transfers of a client. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transfers(Arc<Mutex<AllTransfers>>);

#[derive(Debug, Default)]
struct AllTransfers {
    last: u64,
    transfers: BTreeMap<TransferId, Arc<Transfer>>,
}

impl Transfers {
    /// One more begins. One whose content is streamed cannot be paused.
    pub(crate) fn begin(
        &self,
        direction: Direction,
        named: Vec<String>,
        is_streamed: bool,
    ) -> Arc<Transfer> {
        let mut all = self.0.lock();
        all.last += 1;
        let id = TransferId(all.last);
        let transfer = Arc::new(Transfer {
            id,
            direction,
            named,
            control: TransferControl::new(!is_streamed),
            counters: TransferCounters::default(),
            files: TransferFiles::default(),
            targets: Mutex::default(),
            state: Mutex::new(TransferProgressState {
                phase: TransferState::Planning,
                told: TransferState::Planning,
                error: None,
                limited_by: None,
            }),
        });
        all.transfers.insert(id, transfer.clone());
        let over = all.transfers.values().filter(|transfer| transfer.state().is_over());
        let over: Vec<TransferId> = over.map(|transfer| transfer.id).collect();
        for id in over.iter().take(over.len().saturating_sub(REMEMBERED)) {
            all.transfers.remove(id);
        }
        // A plan has a file and some memory of its own.
        for id in over.iter().take(over.len().saturating_sub(PLANS_KEPT)) {
            if let Some(transfer) = all.transfers.get(id) {
                transfer.files.forget_plan();
            }
        }
        transfer
    }

    /// How all of them are, by number.
    pub(crate) fn statuses(&self) -> Vec<TransferStatus> {
        let all: Vec<_> = self.0.lock().transfers.values().cloned().collect();
        all.iter().map(|transfer| transfer.status()).collect()
    }

    /// The first of these targets that a running transfer has.
    pub(crate) fn under_way(&self, targets: &[PathBuf]) -> Option<PathBuf> {
        let all = self.0.lock();
        let running = || all.transfers.values().filter(|transfer| !transfer.state().is_over());
        let is_taken =
            |target: &&PathBuf| running().any(|transfer| transfer.targets.lock().contains(target));
        targets.iter().find(is_taken).cloned()
    }

    /// One of them.
    pub(crate) fn find(&self, id: TransferId) -> Result<Arc<Transfer>, InvalidRequest> {
        self.0.lock().transfers.get(&id).cloned().ok_or(InvalidRequest::UnknownTransfer(id.0))
    }
}

impl Transfer {
    /// How it is now.
    pub(crate) fn status(&self) -> TransferStatus {
        let state = self.state.lock();
        let (is_over, error, limited_by) =
            (state.phase.is_over(), state.error.clone(), state.limited_by);
        let state = self.shown(state.phase);
        let counters = &self.counters;
        TransferStatus {
            id: self.id,
            direction: self.direction,
            named: self.named.clone(),
            state,
            files: counters.files(),
            files_done: counters.files_done(),
            bytes: counters.bytes(),
            sent: counters.sent(),
            received: counters.received(),
            verified: counters.verified(),
            rate: if is_over { None } else { counters.rate() },
            time_left: if is_over { None } else { counters.time_left() },
            limited_by,
            error,
        }
    }

    pub(crate) fn set_targets(&self, targets: Vec<PathBuf>) {
        *self.targets.lock() = targets;
    }

    /// The state as it is shown.
    pub(crate) fn state(&self) -> TransferState {
        self.shown(self.state.lock().phase)
    }

    /// Where its work is: never [paused](TransferState::Paused).
    pub(crate) fn phase(&self) -> TransferState {
        self.state.lock().phase
    }

    fn shown(&self, phase: TransferState) -> TransferState {
        if self.control.is_paused() && !phase.is_over() { TransferState::Paused } else { phase }
    }

    /// Its work is elsewhere from now on; what is over stays so. Tells the state where another one is shown now.
    pub(crate) fn set_phase(&self, phase: TransferState, tell: impl FnOnce(TransferState)) {
        let mut state = self.state.lock();
        if !state.phase.is_over() {
            state.phase = phase;
        }
        self.tell_state(&mut state, tell);
    }

    /// It was paused, or may go on.
    pub(crate) fn set_paused(&self, is_paused: bool, tell: impl FnOnce(TransferState)) {
        let mut state = self.state.lock();
        self.control.set_paused(is_paused);
        self.tell_state(&mut state, tell);
    }

    /// It failed, and why; what is over stays so.
    pub(crate) fn failed(&self, error: Option<Arc<ClientError>>, tell: impl FnOnce(TransferState)) {
        let mut state = self.state.lock();
        if !state.phase.is_over() {
            (state.phase, state.error) = (TransferState::Failed, error);
        }
        self.tell_state(&mut state, tell);
    }

    /// Within the lock, so that states are told in their order.
    fn tell_state(&self, state: &mut TransferProgressState, tell: impl FnOnce(TransferState)) {
        let shown = self.shown(state.phase);
        if std::mem::replace(&mut state.told, shown) != shown {
            tell(shown);
        }
    }

    /// Its files moved like this.
    pub(crate) fn was_limited_by(&self, limited_by: Option<TransferBottleneck>) {
        self.state.lock().limited_by = limited_by;
    }
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
