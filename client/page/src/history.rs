//! Conversations on the disk, for the page: the store that all processes of this user share, in the page's own types.
//! Works without a connection.

use std::sync::Arc;

use quiver_client::folders::Folders;
use quiver_client::peer_store::{
    ConversationRef, KeptConversation, KeptMessage, PeerStore, PeerStoreError, SentOutcome,
    SentState,
};
use quiver_protocol::{ClientName, Timestamp};
use quiver_transfer::blocking;
use tokio::sync::OnceCell;

use crate::conversations::{ConversationScope, MAX_PAGE};
use crate::peer_name::PeerName;
use crate::views::{ConversationView, MessageState, MessageView};
use quiver_control::Failure;

/// The conversations of all servers and names.
#[derive(Debug)]
pub(crate) struct History {
    folders: Folders,
    /// Opened at its first use.
    store: OnceCell<Arc<PeerStore>>,
}

impl History {
    pub(crate) fn new(folders: Folders) -> Self {
        Self { folders, store: OnceCell::new() }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&PeerStore) -> Result<T, PeerStoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        let store = self.store.get_or_try_init(|| async {
            let folders = self.folders.clone();
            let opened = blocking::run(move || PeerStore::from_folders(&folders)).await;
            Ok::<_, Failure>(Arc::new(opened.map_err(|_| Failure::interrupted())?.map_err(failed)?))
        });
        let store = store.await?.clone();
        let done = blocking::run(move || work(&store)).await;
        done.map_err(|_| Failure::interrupted())?.map_err(failed)
    }

    /// The ends of all conversations. What an earlier process was sending is unknown from now on.
    pub(crate) async fn conversations(
        &self,
        scope: ConversationScope,
    ) -> Result<Vec<ConversationView>, Failure> {
        let ConversationScope { server, own_name } = scope;
        let kept = self.run(move |store| {
            store.end_unfinished_messages(server, &own_name)?;
            store.kept_conversations(server, &own_name)
        });
        Ok(kept.await?.into_iter().map(conversation_view).collect())
    }

    /// The messages before a number, or the last ones, oldest first; one more than the limit if there are more.
    pub(crate) async fn messages(
        &self,
        scope: ConversationScope,
        with: PeerName,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<MessageView>, Failure> {
        let conversation = conversation(scope, &with);
        let limit = limit.min(MAX_PAGE) + 1;
        let kept = self.run(move |store| store.kept_messages(&conversation, before, limit));
        let view = |message| message_view(with.clone(), message);
        Ok(kept.await?.into_iter().map(view).collect())
    }

    /// Keeps a message that is about to be sent. Returns its number.
    pub(crate) async fn keep(
        &self,
        scope: ConversationScope,
        with: &PeerName,
        text: String,
        at: Timestamp,
    ) -> Result<u64, Failure> {
        let conversation = conversation(scope, with);
        self.run(move |store| store.keep_own_message(&conversation, &text, at)).await
    }

    /// Records what became of a message. Returns whether it is still kept.
    pub(crate) async fn settle(
        &self,
        scope: ConversationScope,
        message: &MessageView,
    ) -> Result<bool, Failure> {
        let conversation = conversation(scope, &message.with);
        let (number, at) = (message.number, message.at);
        let outcome = SentOutcome {
            state: message.state.map_or(SentState::Unknown, sent_state),
            answer: message.answer.clone(),
            why: message.why.clone(),
        };
        let settle =
            move |store: &PeerStore| store.settle_own_message(&conversation, number, at, &outcome);
        self.run(settle).await
    }

    pub(crate) async fn mark_read(
        &self,
        scope: ConversationScope,
        with: &PeerName,
    ) -> Result<(), Failure> {
        let conversation = conversation(scope, with);
        self.run(move |store| store.mark_conversation_read(&conversation)).await
    }

    /// Makes the next numbers of conversations larger than these.
    pub(crate) async fn skip_numbers(
        &self,
        scope: ConversationScope,
        numbers: Vec<(PeerName, u64)>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.run(move |store| {
            let mut numbers = numbers.iter();
            numbers.try_for_each(|(with, last)| {
                store.skip_message_numbers(&conversation(scope.clone(), with), *last, now)
            })
        })
        .await
    }

    /// Removes the messages of a conversation.
    pub(crate) async fn clear(
        &self,
        scope: ConversationScope,
        with: &PeerName,
    ) -> Result<(), Failure> {
        let conversation = conversation(scope, with);
        self.run(move |store| store.clear_history(Some(&conversation))).await
    }

    /// Removes all messages, of every server and name.
    pub(crate) async fn clear_all(&self) -> Result<(), Failure> {
        self.run(|store| store.clear_history(None)).await
    }
}

fn failed(error: PeerStoreError) -> Failure {
    Failure::new("local_disk", error.to_string())
}

fn conversation(scope: ConversationScope, with: &PeerName) -> ConversationRef {
    let ConversationScope { server, own_name } = scope;
    let with = match with {
        PeerName::Server => None,
        PeerName::Client(name) => Some(name.clone()),
    };
    ConversationRef { server, own_name, with }
}

fn peer_name(with: Option<ClientName>) -> PeerName {
    with.map_or(PeerName::Server, PeerName::Client)
}

fn conversation_view(kept: KeptConversation) -> ConversationView {
    let KeptConversation { with, unread, last } = kept;
    let with = peer_name(with);
    ConversationView { with: with.clone(), unread, last: Some(message_view(with, last)) }
}

fn message_view(with: PeerName, message: KeptMessage) -> MessageView {
    let KeptMessage { number, text, at, sent } = message;
    let mine = sent.is_some();
    let (state, answer, why) = match sent {
        Some(SentOutcome { state, answer, why }) => (Some(message_state(state)), answer, why),
        None => (None, None, None),
    };
    MessageView { with, number, mine, text, at, state, answer, why }
}

fn message_state(state: SentState) -> MessageState {
    match state {
        SentState::Sending => MessageState::Sending,
        SentState::Acknowledged => MessageState::Acknowledged,
        SentState::Delivered => MessageState::Delivered,
        SentState::NotDelivered => MessageState::NotDelivered,
        SentState::Unknown => MessageState::Unknown,
    }
}

fn sent_state(state: MessageState) -> SentState {
    match state {
        MessageState::Sending => SentState::Sending,
        MessageState::Acknowledged => SentState::Acknowledged,
        MessageState::Delivered => SentState::Delivered,
        MessageState::NotDelivered => SentState::NotDelivered,
        MessageState::Unknown => SentState::Unknown,
    }
}
