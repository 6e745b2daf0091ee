//! Received messages: their ids, so that a message that is sent again is shown once, and their texts, if conversations
//! are kept.

use quiver_protocol::{ClientName, Fingerprint, MessageId, Timestamp};
use rusqlite::params;

use super::contacts;
use super::history::{self, ConversationRef};
use super::{PeerStore, PeerStoreError};

/// Ids that are remembered of each contact.
const MAX_IDS: u64 = 1000;

/// The text of a received message, to be kept.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedText<'a> {
    /// The name of this person on the server.
    pub own_name: &'a ClientName,
    /// The text.
    pub text: &'a str,
    /// When it was received.
    pub at: Timestamp,
}

/// What is known of a received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageRecord {
    /// It was received before, by this or another process.
    Known,
    /// It is new.
    New {
        /// Its number in the conversation; `None` if it is not kept.
        number: Option<u64>,
    },
}

impl PeerStore {
    /// Records the id of a message from a contact, and keeps its text if there is one. The id is new for one process
    /// only. The oldest id of the contact is forgotten if there are more than 1,000.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::NotAdmitted`]: a message never makes a contact, which would have no
    /// key.
    pub fn record_message(
        &self,
        server: Fingerprint,
        name: &ClientName,
        key: Fingerprint,
        id: MessageId,
        kept: Option<ReceivedText<'_>>,
    ) -> Result<MessageRecord, PeerStoreError> {
        self.write(|transaction| {
            let admitted = contacts::admitted(transaction, server, name, key)?;
            let Some((contact, _)) = admitted else {
                return Err(PeerStoreError::NotAdmitted { name: name.clone() }.into());
            };
            let sql = "INSERT OR IGNORE INTO messages (contact, id) VALUES (?1, ?2)";
            if transaction.prepare_cached(sql)?.execute(params![contact, id.0])? == 0 {
                return Ok(MessageRecord::Known);
            }
            let sql = "DELETE FROM messages WHERE contact = ?1 AND number <= (
                SELECT number FROM messages WHERE contact = ?1
                ORDER BY number DESC LIMIT 1 OFFSET ?2)";
            let limit = MAX_IDS.cast_signed();
            transaction.prepare_cached(sql)?.execute(params![contact, limit])?;
            let Some(ReceivedText { own_name, text, at }) = kept else {
                return Ok(MessageRecord::New { number: None });
            };
            let (own_name, with) = (own_name.clone(), Some(name.clone()));
            let conversation = ConversationRef { server, own_name, with };
            let message = history::NewMessage { text, at, sent: None };
            let number = history::insert(transaction, &conversation, &message)?;
            Ok(MessageRecord::New { number: Some(number) })
        })
    }
}
