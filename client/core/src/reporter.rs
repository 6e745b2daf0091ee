//! How those who work tell what happens: as events, of the client or of one transfer. Knows no words for people.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quiver_transfer::file_system::Unset;

use crate::error::ClientError;
use crate::event::{EventHub, EventKind};
use crate::notice::Notice;
use crate::question::{Answer, Question};
use crate::questions::Questions;
use crate::transfers::{Transfer, TransferEvent, TransferState};

/// Tells events and asks questions. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Reporter {
    hub: EventHub,
    questions: Questions,
    /// What it is about; `None` for the client as a whole.
    transfer: Option<Arc<Transfer>>,
    /// Whether it was told in this run that attributes could not be set: where one is refused, all are.
    has_warned: Arc<AtomicBool>,
}

impl Reporter {
    pub(crate) fn new(hub: EventHub, questions: Questions) -> Self {
        Self { hub, questions, transfer: None, has_warned: Arc::default() }
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

    /// The transfer has another state.
    pub(crate) async fn state(&self, state: TransferState) {
        if self.transfer.as_ref().is_some_and(|transfer| transfer.set_state(state)) {
            self.event(TransferEvent::State(state)).await;
        }
    }

    /// Tells, once in a run, that a file or folder here was stored without some of its attributes.
    pub(crate) async fn attributes_not_set(&self, shown: &Path, unset: Unset) {
        if !unset.is_empty() && !self.has_warned.swap(true, Ordering::Relaxed) {
            self.notice(Notice::AttributesNotSet { path: shown.to_owned(), unset }).await;
        }
    }

    /// Whether any interface can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        self.questions.is_attended()
    }

    /// Asks; `None` where there is no answer. The transfer waits meanwhile.
    pub(crate) async fn ask(&self, question: Question) -> Option<Answer> {
        let before = self.transfer.as_ref().map(|transfer| transfer.state());
        self.state(TransferState::WaitingForAnswer).await;
        let answer = self.questions.ask(question).await;
        if let Some(before) = before {
            self.state(before).await;
        }
        answer
    }
}
