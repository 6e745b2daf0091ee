//! What the pages show, and the numbered events that keep them current. Each page has a bounded queue; one that does
//! not read it is cut off, and gets a snapshot when it comes back. No client and no sockets in here.

use std::collections::BTreeMap;

use axum::extract::ws::Utf8Bytes;
use quiver_client::question::QuestionId;
use quiver_control::view::{PathKind, TransferView};
use quiver_protocol::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::conversations::{ConversationScope, Conversations};
use crate::messages::{NumberedEvent, PageEvent, PageSnapshot};
use crate::peer_name::PeerName;
use crate::transfer_board::{BoardChange, TransferBoard, TransferOrigin};
use crate::views::{
    ConnectionView, ConversationView, IncomingOfferView, MessageView, OutgoingOfferView,
    PageSettings, Person, QuestionContent, QuestionView, RecentServer,
};

/// Events that may wait for a page.
const PAGE_QUEUE: usize = 256;

/// What all pages show.
#[derive(Debug)]
pub(crate) struct Model {
    /// Identifies the run of this process.
    run: String,
    last_event: u64,
    pages: Vec<mpsc::Sender<Utf8Bytes>>,
    connection: ConnectionView,
    recent: Vec<RecentServer>,
    people: Vec<Person>,
    conversations: Conversations,
    incoming: BTreeMap<u64, IncomingOfferView>,
    outgoing: BTreeMap<u64, OutgoingOfferView>,
    transfers: TransferBoard,
    last_question: u64,
    questions: BTreeMap<u64, (QuestionId, QuestionContent)>,
    settings: PageSettings,
    home: String,
}

/// What a new page gets: the snapshot, and then each event. The events end when the page is cut off.
#[derive(Debug)]
pub(crate) struct PageFeed {
    pub(crate) snapshot: Utf8Bytes,
    pub(crate) events: mpsc::Receiver<Utf8Bytes>,
}

impl Model {
    /// A model without a connection. `run` identifies this run of the process.
    pub(crate) fn new(
        run: String,
        home: String,
        settings: PageSettings,
        recent: Vec<RecentServer>,
    ) -> Self {
        Self {
            run,
            last_event: 0,
            pages: Vec::new(),
            connection: ConnectionView::signed_out(None),
            recent,
            people: Vec::new(),
            conversations: Conversations::default(),
            incoming: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            transfers: TransferBoard::default(),
            last_question: 0,
            questions: BTreeMap::new(),
            settings,
            home,
        }
    }

    /// Adds a page.
    pub(crate) fn subscribe(&mut self) -> PageFeed {
        let (sender, events) = mpsc::channel(PAGE_QUEUE);
        self.pages.push(sender);
        PageFeed { snapshot: self.snapshot(), events }
    }

    fn snapshot(&self) -> Utf8Bytes {
        let questions = self.questions.iter();
        let snapshot = Box::new(PageSnapshot {
            version: env!("CARGO_PKG_VERSION"),
            connection: self.connection.clone(),
            recent: self.recent.clone(),
            people: self.people.clone(),
            conversations: self.conversations.views(),
            incoming: self.incoming.values().cloned().collect(),
            outgoing: self.outgoing.values().cloned().collect(),
            transfers: self.transfers.all(),
            questions: questions.map(|(number, (_, content))| view(*number, content)).collect(),
            settings: self.settings.clone(),
            home: self.home.clone(),
        });
        let content = PageEvent::Snapshot { run: self.run.clone(), snapshot };
        to_json(&NumberedEvent { event: self.last_event, content: &content })
    }

    /// Pages that are connected.
    pub(crate) fn page_count(&mut self) -> usize {
        self.pages.retain(|page| !page.is_closed());
        self.pages.len()
    }

    /// Publishes an event to all pages. Never waits.
    pub(crate) fn publish(&mut self, content: &PageEvent) {
        self.last_event += 1;
        if self.pages.is_empty() {
            return;
        }
        self.send(&to_json(&NumberedEvent { event: self.last_event, content }));
    }

    fn send(&mut self, text: &Utf8Bytes) {
        // A page that is full is dropped here, and its connection closes.
        self.pages.retain(|page| page.try_send(text.clone()).is_ok());
    }

    /// The connection with the server.
    pub(crate) fn connection(&self) -> &ConnectionView {
        &self.connection
    }

    /// Changes the connection.
    pub(crate) fn change_connection(&mut self, change: impl FnOnce(&mut ConnectionView)) {
        let mut connection = self.connection.clone();
        change(&mut connection);
        if connection != self.connection {
            self.connection = connection.clone();
            self.publish(&PageEvent::Connection { connection });
        }
    }

    /// Forgets all that belongs to a client that is no more. Pages get a snapshot.
    pub(crate) fn sign_out(&mut self, connection: ConnectionView) {
        self.questions.clear();
        self.people.clear();
        self.transfers.replace(TransferOrigin::Own, Vec::new());
        self.incoming.clear();
        self.outgoing.clear();
        self.connection = connection;
        self.transfers.clear_report();
        let snapshot = self.snapshot();
        self.send(&snapshot);
    }

    /// Replaces the conversations by those of a server and a name. Pages get a snapshot, if they have not the same.
    pub(crate) fn load_conversations(
        &mut self,
        scope: ConversationScope,
        kept: Vec<ConversationView>,
    ) {
        let before = self.conversations.views();
        self.conversations.load(scope, kept);
        if self.conversations.views() != before {
            let snapshot = self.snapshot();
            self.send(&snapshot);
        }
    }

    /// Forgets the conversations with clients of another server, which may be kept on the disk.
    pub(crate) fn leave_conversations(&mut self) {
        self.conversations = Conversations::default();
        self.publish(&PageEvent::HistoryCleared { with: None });
    }

    /// The servers of earlier sign-ins. Pages get them with the next snapshot.
    pub(crate) fn set_recent(&mut self, recent: Vec<RecentServer>) {
        self.recent = recent;
    }

    /// The settings.
    pub(crate) fn settings(&self) -> &PageSettings {
        &self.settings
    }

    /// Changes the settings.
    pub(crate) fn set_settings(&mut self, settings: PageSettings) {
        if settings != self.settings {
            self.settings = settings.clone();
            self.publish(&PageEvent::Settings { settings });
        }
    }

    /// Replaces the people.
    pub(crate) fn set_people(&mut self, people: Vec<Person>) {
        if people != self.people {
            self.people.clone_from(&people);
            self.publish(&PageEvent::People { people });
        }
    }

    /// The path to a client, if there is a connection with it.
    pub(crate) fn path_to(&self, name: &str) -> Option<PathKind> {
        self.people.iter().find(|person| person.name.as_str() == name && person.here)?.path
    }

    /// The conversations.
    pub(crate) fn conversations(&mut self) -> &mut Conversations {
        &mut self.conversations
    }

    /// Publishes a message that is new or has changed, and its conversation.
    pub(crate) fn publish_message(&mut self, message: MessageView) {
        let conversation = self.conversations.view(&message.with);
        self.publish(&PageEvent::Message { message });
        if let Some(conversation) = conversation {
            self.publish(&PageEvent::Conversation { conversation });
        }
    }

    /// Adds and publishes a message of another client, with its number if it is kept.
    pub(crate) fn receive_message(
        &mut self,
        with: PeerName,
        text: String,
        at: Timestamp,
        number: Option<u64>,
    ) {
        let message = match number {
            None => self.conversations.add_unkept(with, text, at, None),
            Some(number) => {
                let (state, answer, why) = (None, None, None);
                let received =
                    MessageView { with, number, mine: false, text, at, state, answer, why };
                if !self.conversations.add_kept(received.clone()) {
                    return;
                }
                received
            }
        };
        self.publish_message(message);
    }

    /// Updates the offers of other clients.
    pub(crate) fn set_incoming(&mut self, offers: Vec<IncomingOfferView>) {
        for offer in offers {
            if self.incoming.get(&offer.number) != Some(&offer) {
                self.incoming.insert(offer.number, offer.clone());
                self.publish(&PageEvent::IncomingOffer { offer });
            }
        }
    }

    /// An offer of another client.
    pub(crate) fn incoming(&self, number: u64) -> Option<&IncomingOfferView> {
        self.incoming.get(&number)
    }

    /// Updates the offers of this person.
    pub(crate) fn set_outgoing(&mut self, offers: Vec<OutgoingOfferView>) {
        for offer in offers {
            if self.outgoing.get(&offer.number) != Some(&offer) {
                self.outgoing.insert(offer.number, offer.clone());
                self.publish(&PageEvent::OutgoingOffer { offer });
            }
        }
    }

    /// Replaces the transfers of an origin.
    pub(crate) fn set_transfers(&mut self, origin: TransferOrigin, transfers: Vec<TransferView>) {
        self.transfers.replace(origin, transfers);
        self.report_transfers(Instant::now());
    }

    /// Publishes changes of transfers if that may be done now. Returns when it may be done next, if there are more.
    pub(crate) fn report_transfers(&mut self, now: Instant) -> Option<Instant> {
        if let Some(BoardChange { changed, gone }) = self.transfers.report(now) {
            self.publish(&PageEvent::Transfers { transfers: changed, gone });
        }
        self.transfers.report_due(now)
    }

    /// The transfers by origin.
    pub(crate) fn board(&self) -> &TransferBoard {
        &self.transfers
    }

    /// Adds an open question, unless it is known.
    pub(crate) fn add_question(&mut self, id: QuestionId, content: QuestionContent) {
        if self.questions.values().any(|(known, _)| *known == id) {
            return;
        }
        self.last_question += 1;
        let question = view(self.last_question, &content);
        self.questions.insert(self.last_question, (id, content));
        self.publish(&PageEvent::Question { question });
    }

    /// Removes a question that is answered.
    pub(crate) fn settle_question(&mut self, id: QuestionId) {
        self.retain_questions(|open| open != id);
    }

    /// Removes the questions that are not open any more.
    pub(crate) fn retain_questions(&mut self, is_open: impl Fn(QuestionId) -> bool) {
        let settled: Vec<u64> = self
            .questions
            .iter()
            .filter(|(_, (id, _))| !is_open(*id))
            .map(|(number, _)| *number)
            .collect();
        for number in settled {
            self.questions.remove(&number);
            self.publish(&PageEvent::QuestionSettled { question: number });
        }
    }

    /// The client's id of a question.
    pub(crate) fn question_id(&self, number: u64) -> Option<QuestionId> {
        self.questions.get(&number).map(|(id, _)| *id)
    }
}

fn view(question: u64, content: &QuestionContent) -> QuestionView {
    QuestionView { question, content: content.clone() }
}

/// A message as text.
pub(crate) fn to_json(message: &impl Serialize) -> Utf8Bytes {
    // Fails only for maps with other keys than texts, which no message has.
    serde_json::to_string(message).unwrap_or_default().into()
}

#[cfg(test)]
mod tests;
