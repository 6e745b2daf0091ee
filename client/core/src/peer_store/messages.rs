//! The ids of received messages, so that a message that is sent again is shown once. Knows no texts.

use quiver_protocol::{ClientName, Fingerprint, MessageId, Timestamp};
use rusqlite::params;

use super::contacts;
use super::{PeerStore, PeerStoreError};

/// Ids that are remembered of each contact.
const MAX_IDS: u64 = 1000;

impl PeerStore {
    /// Records the id of a message from a contact. Returns whether the id is new, which it is for one process only.
    /// The oldest id of the contact is forgotten if there are more than 1,000.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn record_message(
        &self,
        server: Fingerprint,
        name: &ClientName,
        id: MessageId,
        now: Timestamp,
    ) -> Result<bool, PeerStoreError> {
        self.write(|transaction| {
            let contact = contacts::ensure(transaction, server, name, now)?;
            let sql = "INSERT OR IGNORE INTO messages (contact, id) VALUES (?1, ?2)";
            if transaction.prepare_cached(sql)?.execute(params![contact, id.0])? == 0 {
                return Ok(false);
            }
            let sql = "DELETE FROM messages WHERE contact = ?1 AND number <= (
                SELECT number FROM messages WHERE contact = ?1
                ORDER BY number DESC LIMIT 1 OFFSET ?2)";
            let limit = MAX_IDS.cast_signed();
            transaction.prepare_cached(sql)?.execute(params![contact, limit])?;
            Ok(true)
        })
    }
}
