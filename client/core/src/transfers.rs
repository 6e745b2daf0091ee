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
use quiver_transfer::Bottleneck;

use crate::error::{ClientError, InvalidRequest};
use crate::journal::Direction;
pub(crate) use control::Control;
pub(crate) use counters::Counters;
pub(crate) use files::Files;
pub use files::{FileState, TransferFile};
pub use status::{
    DownloadedFile, PlannedFile, TransferEvent, TransferState, TransferStatus, TransferSummary,
    UploadedFile,
};

/// Transfers that are over and still shown; one more forgets the oldest.
const REMEMBERED: usize = 100;

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
    pub(crate) control: Control,
    pub(crate) counters: Counters,
    pub(crate) files: Files,
    /// Where its files go, from the root.
    targets: Mutex<Vec<PathBuf>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    state: TransferState,
    error: Option<Arc<ClientError>>,
    limited_by: Option<Bottleneck>,
}

/// All transfers of a client. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transfers(Arc<Mutex<All>>);

#[derive(Debug, Default)]
struct All {
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
            control: Control::new(!is_streamed),
            counters: Counters::default(),
            files: Files::default(),
            targets: Mutex::default(),
            state: Mutex::new(State {
                state: TransferState::Planning,
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
        self.0.lock().transfers.get(&id).cloned().ok_or(InvalidRequest::NoTransfer(id.0))
    }
}

impl Transfer {
    /// How it is now.
    pub(crate) fn status(&self) -> TransferStatus {
        let state = self.state.lock();
        let (is_over, error, limited_by) =
            (state.state.is_over(), state.error.clone(), state.limited_by);
        let state = state.state;
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

    pub(crate) fn state(&self) -> TransferState {
        self.state.lock().state
    }

    /// Gives it another state; whether it had another one. What is over stays as it is.
    pub(crate) fn set_state(&self, state: TransferState) -> bool {
        let mut held = self.state.lock();
        if held.state == state || held.state.is_over() {
            return false;
        }
        held.state = state;
        true
    }

    /// Its files moved like this.
    pub(crate) fn was_limited_by(&self, limited_by: Option<Bottleneck>) {
        self.state.lock().limited_by = limited_by;
    }

    /// It failed, and why.
    pub(crate) fn failed(&self, error: Arc<ClientError>) {
        let mut held = self.state.lock();
        held.error = Some(error);
        held.state = TransferState::Failed;
    }
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
