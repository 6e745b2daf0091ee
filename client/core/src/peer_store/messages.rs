//! The ids of received messages, so that a message that is sent again is shown once. Knows no texts.

use quiver_protocol::{ClientName, Fingerprint, MessageId};
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
    /// [`PeerStoreError`], also [`PeerStoreError::NotAdmitted`]: a message never makes a contact, which would have no
    /// key.
    pub fn record_message(
        &self,
        server: Fingerprint,
        name: &ClientName,
        key: Fingerprint,
        id: MessageId,
    ) -> Result<bool, PeerStoreError> {
        self.write(|transaction| {
            let admitted = contacts::admitted(transaction, server, name, key)?;
            let Some((contact, _)) = admitted else {
                return Err(PeerStoreError::NotAdmitted { name: name.clone() }.into());
            };
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
