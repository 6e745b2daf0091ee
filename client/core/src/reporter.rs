//! Publishes events and asks questions, for the client or for one transfer, and notes the names that it sees. Contains no
//! texts for users.

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
use crate::seen_names::SeenNames;
use crate::transfers::{Transfer, TransferEvent, TransferState};

/// Publishes events and asks questions. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Reporter {
    hub: EventHub,
    questions: Questions,
    connection: Arc<Mutex<ConnectionState>>,
    seen_names: SeenNames,
    /// The transfer that events are about; `None` for the client.
    transfer: Option<Arc<Transfer>>,
    /// Whether this run has published that attributes could not be set. If one file fails, all do.
    has_warned: Arc<AtomicBool>,
}

impl Reporter {
    pub(crate) fn new(
        hub: EventHub,
        questions: Questions,
        connection: Arc<Mutex<ConnectionState>>,
        seen_names: SeenNames,
    ) -> Self {
        let has_warned = Arc::default();
        Self { hub, questions, connection, seen_names, transfer: None, has_warned }
    }

    /// The names that were seen on servers.
    pub(crate) fn seen_names(&self) -> &SeenNames {
        &self.seen_names
    }

    /// A reporter for one transfer.
    pub(crate) fn for_transfer(&self, transfer: Arc<Transfer>) -> Self {
        Self { transfer: Some(transfer), ..self.clone() }
    }

    /// The transfer, if this reporter is for one.
    pub(crate) fn transfer(&self) -> Option<&Transfer> {
        self.transfer.as_deref()
    }

    pub(crate) async fn publish(&self, kind: EventKind) {
        self.hub.wait_and_publish(kind).await;
    }

    pub(crate) async fn notify(&self, notice: Notice) {
        self.publish(EventKind::Notice(notice)).await;
    }

    /// Publishes an event of the transfer. Does nothing without a transfer.
    pub(crate) async fn report(&self, event: TransferEvent) {
        if let Some(transfer) = &self.transfer {
            self.publish(EventKind::Transfer(transfer.id, event)).await;
        }
    }

    /// Publishes the failure of one of several files, or of one of several transfers.
    pub(crate) async fn report_failure(&self, error: Arc<ClientError>) {
        match &self.transfer {
            Some(_) => self.report(TransferEvent::FileFailed(error)).await,
            None => self.publish(EventKind::Failed(error)).await,
        }
    }

    /// Sets the phase of the transfer. Does nothing without a transfer.
    pub(crate) async fn set_phase(&self, phase: TransferState) {
        if let Some(transfer) = &self.transfer {
            self.hub.wait_for_capacity().await;
            transfer.set_phase(phase, |state| self.hub.publish_state(transfer.id, state));
        }
    }

    /// Marks the transfer as failed, with its error.
    pub(crate) async fn set_failed(&self, error: Option<Arc<ClientError>>) {
        if let Some(transfer) = &self.transfer {
            self.hub.wait_for_capacity().await;
            transfer.set_failed(error, |state| self.hub.publish_state(transfer.id, state));
        }
    }

    /// Sets the state of the connection. Does not wait for readers, because such events are few.
    pub(crate) fn set_connection(&self, state: ConnectionState) {
        // Within the lock, so that a snapshot has the state of the last event.
        let mut connection = self.connection.lock();
        *connection = state.clone();
        self.hub.publish(EventKind::Connection(state));
    }

    /// Publishes, once in a run, that a local file or folder was stored without some of its attributes.
    pub(crate) async fn warn_unset_attributes(&self, shown: &Path, unset: UnsetAttributes) {
        if !unset.is_empty() && !self.has_warned.swap(true, Ordering::Relaxed) {
            self.notify(Notice::AttributesNotSet { path: shown.to_owned(), unset }).await;
        }
    }

    /// Whether an interface can answer questions.
    pub(crate) fn can_ask(&self) -> bool {
        self.questions.has_interface()
    }

    /// Asks a question; `None` if there is no answer. The transfer is in `WaitingForAnswer` in the meantime.
    pub(crate) async fn ask(&self, question: Question) -> Option<Answer> {
        let phase = self.transfer.as_ref().map(|transfer| transfer.phase());
        self.set_phase(TransferState::WaitingForAnswer).await;
        let answer = self.questions.ask(question).await;
        if let Some(phase) = phase {
            self.set_phase(phase).await;
        }
        answer
    }
}
