//! Conversations that are kept on this computer: messages with a server and with each client, by the name that this
//! person has on that server. Bounded; the oldest messages go first.

mod rows;

use quiver_protocol::{ClientName, Fingerprint, Timestamp};
use rusqlite::params;
use tracing::debug;

use super::{PeerStore, PeerStoreError};
pub(super) use rows::{NewMessage, insert};

/// Messages that are kept of a conversation.
const MAX_MESSAGES: u64 = 10_000;

/// Bytes of the texts that are kept of a conversation.
const MAX_BYTES: u64 = 16_000_000;

/// Conversations that are kept of a name on a server, and of all. Beyond that, one in which this person has written
/// nothing is removed, else the oldest one: a server can introduce any number of names.
const MAX_OF_NAME: u64 = 100;
const MAX_CONVERSATIONS: u64 = 1000;

/// Bytes of the texts of all conversations.
const MAX_TOTAL_BYTES: u64 = 256_000_000;

/// The two sides of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRef {
    /// The fingerprint of the server's key.
    pub server: Fingerprint,
    /// The name of this person on the server.
    pub own_name: ClientName,
    /// The other client; `None` for the server itself.
    pub with: Option<ClientName>,
}

/// What became of a message of this person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentState {
    /// It is being sent.
    Sending,
    /// The server has answered.
    Acknowledged,
    /// The other client has it.
    Delivered,
    /// The other client does not have it.
    NotDelivered,
    /// The other client may have it.
    Unknown,
}

/// A message that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptMessage {
    /// Its number in the conversation, from 1.
    pub number: u64,
    /// The text.
    pub text: String,
    /// When it was sent or received here.
    pub at: Timestamp,
    /// What became of it; `None` if the other side has sent it.
    pub sent: Option<SentOutcome>,
}

/// What became of a message of this person, with the words of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentOutcome {
    /// The state.
    pub state: SentState,
    /// The server's answer.
    pub answer: Option<String>,
    /// Why it was not delivered.
    pub why: Option<String>,
}

/// A conversation that is kept, without its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptConversation {
    /// The other client; `None` for the server itself.
    pub with: Option<ClientName>,
    /// Messages of the other side that this person has not read.
    pub unread: u64,
    /// The last message.
    pub last: KeptMessage,
}

impl SentOutcome {
    /// A message that is being sent.
    #[must_use]
    pub fn sending() -> Self {
        Self { state: SentState::Sending, answer: None, why: None }
    }
}

impl PeerStore {
    /// Keeps a message that this person sends. Returns its number.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn keep_own_message(
        &self,
        conversation: &ConversationRef,
        text: &str,
        at: Timestamp,
    ) -> Result<u64, PeerStoreError> {
        let sent = Some(SentOutcome::sending());
        let message = rows::NewMessage { text, at, sent: sent.as_ref() };
        self.write(|transaction| Ok(rows::insert(transaction, conversation, &message)?))
    }

    /// Records what became of a message of this person. Returns whether it is still kept; `at` is when it was sent.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn settle_own_message(
        &self,
        conversation: &ConversationRef,
        number: u64,
        at: Timestamp,
        outcome: &SentOutcome,
    ) -> Result<bool, PeerStoreError> {
        self.write(|transaction| Ok(rows::settle(transaction, conversation, number, at, outcome)?))
    }

    /// The kept messages of a conversation before a number, or the last ones, oldest first.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn kept_messages(
        &self,
        conversation: &ConversationRef,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<KeptMessage>, PeerStoreError> {
        self.read(|transaction| Ok(rows::page(transaction, conversation, before, limit)?))
    }

    /// The kept conversations of a name on a server that have messages, the latest first.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn kept_conversations(
        &self,
        server: Fingerprint,
        own_name: &ClientName,
    ) -> Result<Vec<KeptConversation>, PeerStoreError> {
        self.read(|transaction| Ok(rows::conversations(transaction, server, own_name)?))
    }

    /// Marks messages as unknown that a process was sending when it ended. One that another process is sending now gets
    /// its outcome nevertheless.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn end_unfinished_messages(
        &self,
        server: Fingerprint,
        own_name: &ClientName,
    ) -> Result<(), PeerStoreError> {
        self.write(|transaction| Ok(rows::end_unfinished(transaction, server, own_name)?))
    }

    /// Marks a conversation as read.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn mark_conversation_read(
        &self,
        conversation: &ConversationRef,
    ) -> Result<(), PeerStoreError> {
        self.write(|transaction| {
            let Some(id) = rows::find(transaction, conversation)? else { return Ok(()) };
            transaction.execute("UPDATE conversations SET unread = 0 WHERE id = ?1", [id])?;
            Ok(())
        })
    }

    /// Makes the next number of a conversation larger than this one, which was given to a message that is not kept.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn skip_message_numbers(
        &self,
        conversation: &ConversationRef,
        last: u64,
        now: Timestamp,
    ) -> Result<(), PeerStoreError> {
        self.write(|transaction| {
            let id = rows::ensure(transaction, conversation, now)?;
            let sql = "UPDATE conversations SET last_number = max(last_number, ?2) WHERE id = ?1";
            transaction.execute(sql, params![id, last.cast_signed()])?;
            Ok(())
        })
    }

    /// Removes the kept messages of a conversation, or of all of every server and name. Their bytes are overwritten in
    /// the file, which then gets smaller.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn clear_history(
        &self,
        conversation: Option<&ConversationRef>,
    ) -> Result<(), PeerStoreError> {
        self.write(|transaction| {
            match conversation {
                None => transaction.execute("DELETE FROM conversations", [])?,
                Some(conversation) => match rows::find(transaction, conversation)? {
                    None => 0,
                    Some(id) => {
                        transaction.execute("DELETE FROM conversations WHERE id = ?1", [id])?
                    }
                },
            };
            Ok(())
        })?;
        // The bytes are overwritten already (secure_delete); without this, the file keeps its size.
        if let Err(error) = self.database.lock().execute_batch("VACUUM") {
            debug!(%error, "the database of other clients keeps its size");
        }
        Ok(())
    }
}
