//! How those who work tell what happens: as events, of the client or of one transfer. Knows no words for people.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use quiver_transfer::file_system::UnsetAttributes;

use crate::error::ClientError;
use crate::event::{ConnectionState, EventHub, EventKind};
use crate::notice::Notice;
use crate::question::{Answer, Question};
use crate::questions::Questions;
use crate::transfers::{Transfer, TransferEvent, TransferState};

/// Tells events and asks questions. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Reporter {
    hub: EventHub,
    questions: Questions,
    connection: Arc<Mutex<ConnectionState>>,
    /// What it is about; `None` for the client as a whole.
    transfer: Option<Arc<Transfer>>,
    /// Whether it was told in this run that attributes could not be set: where one is refused, all are.
    has_warned: Arc<AtomicBool>,
}

impl Reporter {
    pub(crate) fn new(
        hub: EventHub,
        questions: Questions,
        connection: Arc<Mutex<ConnectionState>>,
    ) -> Self {
        Self { hub, questions, connection, transfer: None, has_warned: Arc::default() }
    }

    /// The same for one transfer.
    pub(crate) fn of(&self, transfer: Arc<Transfer>) -> Self {
        Self { transfer: Some(transfer), ..self.clone() }
    }

    /// The transfer, where it is about one.
    pub(crate) fn transfer(&self) -> Option<&Transfer> {
        self.transfer.as_deref()
    }

    pub(crate) async fn publish(&self, kind: EventKind) {
        self.hub.publish_in_turn(kind).await;
    }

    pub(crate) async fn notice(&self, notice: Notice) {
        self.publish(EventKind::Notice(notice)).await;
    }

    /// Tells something of the transfer. Nothing where there is none.
    pub(crate) async fn event(&self, event: TransferEvent) {
        if let Some(transfer) = &self.transfer {
            self.publish(EventKind::Transfer(transfer.id, event)).await;
        }
    }

    /// One of several files failed, or one of several transfers.
    pub(crate) async fn failed(&self, error: Arc<ClientError>) {
        match &self.transfer {
            Some(_) => self.event(TransferEvent::FileFailed(error)).await,
            None => self.publish(EventKind::Failed(error)).await,
        }
    }

    /// The work of the transfer is elsewhere from now on.
    pub(crate) async fn phase(&self, phase: TransferState) {
        if let Some(transfer) = &self.transfer {
            self.hub.room().await;
            transfer.set_phase(phase, |state| self.hub.tell_state(transfer.id, state));
        }
    }

    /// The transfer has failed, and why.
    pub(crate) async fn transfer_failed(&self, error: Option<Arc<ClientError>>) {
        if let Some(transfer) = &self.transfer {
            self.hub.room().await;
            transfer.failed(error, |state| self.hub.tell_state(transfer.id, state));
        }
    }

    /// The connection has another state. Never waits: such events are few.
    pub(crate) fn connection(&self, state: ConnectionState) {
        // Within the lock, so that a snapshot has the state that was told last.
        let mut held = self.connection.lock();
        *held = state.clone();
        self.hub.publish(EventKind::Connection(state));
    }

    /// Tells, once in a run, that a file or folder here was stored without some of its attributes.
    pub(crate) async fn attributes_not_set(&self, shown: &Path, unset: UnsetAttributes) {
        if !unset.is_empty() && !self.has_warned.swap(true, Ordering::Relaxed) {
            self.notice(Notice::AttributesNotSet { path: shown.to_owned(), unset }).await;
        }
    }

    /// Whether any interface can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        self.questions.has_interface()
    }

    /// Asks; `None` where there is no answer. The transfer waits meanwhile.
    pub(crate) async fn ask(&self, question: Question) -> Option<Answer> {
        let before = self.transfer.as_ref().map(|transfer| transfer.phase());
        self.phase(TransferState::WaitingForAnswer).await;
        let answer = self.questions.ask(question).await;
        if let Some(before) = before {
            self.phase(before).await;
        }
        answer
    }
}
