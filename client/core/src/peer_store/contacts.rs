//! Contacts: the names of other clients on each server, with the keys that they have shown. Names are compared
//! without regard to case.

use quiver_protocol::{ClientName, Fingerprint, Timestamp};
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::columns::{micros, optional, value};
use super::contact::{Contact, ContactKey, KeyCheck};
use super::{Abort, PeerStore, PeerStoreError};

/// Contacts that are remembered. Beyond that, the one that was seen least recently is removed, of those that the
/// person has neither accepted, verified nor blocked: a server can introduce any number of names.
const MAX_CONTACTS: u64 = 10_000;

impl PeerStore {
    /// Compares the key that a name has now, as the server says, to the known ones. Changes nothing.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn check_key(
        &self,
        server: Fingerprint,
        name: &ClientName,
        key: Fingerprint,
        is_account: bool,
    ) -> Result<KeyCheck, PeerStoreError> {
        let found = self.contact(server, name)?;
        Ok(found.map_or(KeyCheck::New, |contact| contact.check(key, is_account)))
    }

    /// Like [`check_key`](Self::check_key), and remembers a first or known key. Of two processes that see the first
    /// key of a name at the same time, one gets [`KeyCheck::New`].
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::TooManyContacts`].
    pub fn check_and_remember_key(
        &self,
        server: Fingerprint,
        name: &ClientName,
        key: Fingerprint,
        is_account: bool,
        now: Timestamp,
    ) -> Result<KeyCheck, PeerStoreError> {
        self.write(|transaction| {
            let Some((id, contact)) = find(transaction, server, name)? else {
                remember(transaction, server, name, key, is_account, now)?;
                return Ok(KeyCheck::New);
            };
            let check = contact.check(key, is_account);
            match check {
                KeyCheck::New | KeyCheck::Known { .. } => {
                    remember(transaction, server, name, key, is_account, now)?;
                }
                // Someone may pose as the contact.
                KeyCheck::Changed { .. } => {
                    let sql = "UPDATE contacts SET accept_folder = NULL WHERE id = ?1";
                    transaction.execute(sql, [id])?;
                }
                KeyCheck::OtherMachine { .. } | KeyCheck::Blocked => {}
            }
            Ok(check)
        })
    }

    /// Remembers a key, also one that is not known yet: the person has agreed to it. Another key of an account is
    /// added to the known ones. After a change ([`KeyCheck::Changed`]) it replaces them, and the contact is no longer
    /// accepted.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::TooManyContacts`].
    pub fn remember_key(
        &self,
        server: Fingerprint,
        name: &ClientName,
        key: Fingerprint,
        is_account: bool,
        now: Timestamp,
    ) -> Result<(), PeerStoreError> {
        self.write(|transaction| {
            let found = find(transaction, server, name)?;
            if let Some((id, contact)) = found {
                // A blocked name stays blocked; its key is compared all the same.
                let contact = Contact { is_blocked: false, ..contact };
                if let KeyCheck::Changed { .. } = contact.check(key, is_account) {
                    let sql = "DELETE FROM keys WHERE contact = ?1 AND key <> ?2";
                    transaction.execute(sql, params![id, key.0])?;
                    let sql = "UPDATE contacts SET is_accepted = 0, accept_folder = NULL \
                               WHERE id = ?1";
                    transaction.execute(sql, [id])?;
                }
            }
            remember(transaction, server, name, key, is_account, now)
        })
    }

    /// The contact of this name, if it has this key and is not blocked.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn admitted_contact(
        &self,
        server: Fingerprint,
        name: &ClientName,
        key: Fingerprint,
    ) -> Result<Option<Contact>, PeerStoreError> {
        let found = |transaction: &Transaction<'_>| Ok(admitted(transaction, server, name, key)?);
        Ok(self.read(found)?.map(|(_, contact)| contact))
    }

    /// Marks a known key as verified, and its contact as accepted. Returns whether the key is known, and the contact not
    /// blocked.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn mark_verified(
        &self,
        server: Fingerprint,
        name: &ClientName,
        key: Fingerprint,
        now: Timestamp,
    ) -> Result<bool, PeerStoreError> {
        self.write(|transaction| {
            let found = admitted(transaction, server, name, key)?;
            let Some((id, _)) = found else { return Ok(false) };
            let sql = "UPDATE keys SET verified = ?3 WHERE contact = ?1 AND key = ?2";
            transaction.execute(sql, params![id, key.0, micros(now)])?;
            Ok(set_accepted(transaction, id)?)
        })
    }

    /// Marks a contact as accepted. Returns whether it is known with this key, and not blocked: the acceptance must not
    /// count for a key that the name gets later.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn accept_contact(
        &self,
        server: Fingerprint,
        name: &ClientName,
        key: Fingerprint,
    ) -> Result<bool, PeerStoreError> {
        self.write(|transaction| {
            let found = admitted(transaction, server, name, key)?;
            found.map_or(Ok(false), |(id, _)| Ok(set_accepted(transaction, id)?))
        })
    }

    /// Blocks a name, also one that is not known yet.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::TooManyContacts`].
    pub fn block_contact(
        &self,
        server: Fingerprint,
        name: &ClientName,
        now: Timestamp,
    ) -> Result<(), PeerStoreError> {
        self.write(|transaction| {
            let id = ensure(transaction, server, name, now)?;
            let sql = "UPDATE contacts SET is_blocked = 1, accept_folder = NULL WHERE id = ?1";
            transaction.execute(sql, [id])?;
            Ok(())
        })
    }

    /// Ends the block of a name. Returns whether it is known.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn unblock_contact(
        &self,
        server: Fingerprint,
        name: &ClientName,
    ) -> Result<bool, PeerStoreError> {
        self.write(|transaction| {
            let sql = "UPDATE contacts SET is_blocked = 0 WHERE server = ?1 AND name_key = ?2";
            Ok(transaction.execute(sql, params![server.0, name.key()])? == 1)
        })
    }

    /// Forgets the keys of a contact, whether it is accepted, and the ids of its messages. A blocked name stays
    /// blocked. Returns whether the contact was known.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn forget_contact(
        &self,
        server: Fingerprint,
        name: &ClientName,
    ) -> Result<bool, PeerStoreError> {
        self.write(|transaction| {
            let Some((id, contact)) = find(transaction, server, name)? else { return Ok(false) };
            if contact.is_blocked {
                transaction.execute("DELETE FROM keys WHERE contact = ?1", [id])?;
                transaction.execute("DELETE FROM messages WHERE contact = ?1", [id])?;
                let sql = "UPDATE contacts SET is_accepted = 0, accept_folder = NULL WHERE id = ?1";
                transaction.execute(sql, [id])?;
            } else {
                transaction.execute("DELETE FROM contacts WHERE id = ?1", [id])?;
            }
            Ok(true)
        })
    }

    /// The contact of this name.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn contact(
        &self,
        server: Fingerprint,
        name: &ClientName,
    ) -> Result<Option<Contact>, PeerStoreError> {
        self.read(|transaction| Ok(find(transaction, server, name)?.map(|(_, contact)| contact)))
    }

    /// The contacts on one server or on all, by server and name.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn contacts(&self, server: Option<Fingerprint>) -> Result<Vec<Contact>, PeerStoreError> {
        self.read(|transaction| {
            let sql = "SELECT * FROM contacts WHERE ?1 IS NULL OR server = ?1 \
                       ORDER BY server, name_key";
            let mut rows = transaction.prepare_cached(sql)?;
            let rows = rows.query_map([server.map(|server| server.0)], contact)?;
            let with_keys = |row: rusqlite::Result<_>| add_keys(transaction, row?);
            Ok(rows.map(with_keys).map(|found| Ok(found?.1)).collect::<rusqlite::Result<_>>()?)
        })
    }
}

/// The contact of a name, and its row's id.
pub(super) fn find(
    transaction: &Transaction<'_>,
    server: Fingerprint,
    name: &ClientName,
) -> rusqlite::Result<Option<(i64, Contact)>> {
    let sql = "SELECT * FROM contacts WHERE server = ?1 AND name_key = ?2";
    let mut rows = transaction.prepare_cached(sql)?;
    let found = rows.query_row(params![server.0, name.key()], contact).optional()?;
    found.map(|found| add_keys(transaction, found)).transpose()
}

/// The contact of a name, and its row's id, if it has this key and is not blocked.
pub(super) fn admitted(
    transaction: &Transaction<'_>,
    server: Fingerprint,
    name: &ClientName,
    key: Fingerprint,
) -> rusqlite::Result<Option<(i64, Contact)>> {
    let has_key = |contact: &Contact| contact.keys.iter().any(|known| known.key == key);
    let found = find(transaction, server, name)?;
    Ok(found.filter(|(_, contact)| !contact.is_blocked && has_key(contact)))
}

/// Always returns true, unless the database fails.
fn set_accepted(transaction: &Transaction<'_>, id: i64) -> rusqlite::Result<bool> {
    Ok(transaction.execute("UPDATE contacts SET is_accepted = 1 WHERE id = ?1", [id])? == 1)
}

/// The id of a name's row, which is added if it is missing.
fn ensure(
    transaction: &Transaction<'_>,
    server: Fingerprint,
    name: &ClientName,
    now: Timestamp,
) -> Result<i64, Abort> {
    let sql = "SELECT id FROM contacts WHERE server = ?1 AND name_key = ?2";
    let mut rows = transaction.prepare_cached(sql)?;
    let found = rows.query_row(params![server.0, name.key()], |row| row.get(0)).optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    let sql = "SELECT COUNT(*) FROM contacts";
    let count = transaction.query_row(sql, [], |row| value::<u64>(row, "COUNT(*)"))?;
    if count >= MAX_CONTACTS {
        let sql = "DELETE FROM contacts WHERE id = (
            SELECT id FROM contacts WHERE is_accepted = 0 AND is_blocked = 0 AND NOT EXISTS
                (SELECT * FROM keys WHERE contact = id AND verified IS NOT NULL)
            ORDER BY seen, id LIMIT 1)";
        if transaction.execute(sql, [])? == 0 {
            return Err(PeerStoreError::TooManyContacts { limit: MAX_CONTACTS }.into());
        }
    }
    let sql = "INSERT INTO contacts \
               (server, name_key, name, is_account, is_accepted, is_blocked, seen) \
               VALUES (?1, ?2, ?3, 0, 0, 0, ?4)";
    transaction.execute(sql, params![server.0, name.key(), name.as_str(), micros(now)])?;
    Ok(transaction.last_insert_rowid())
}

/// Adds a key to a contact, or updates when it was last seen.
fn remember(
    transaction: &Transaction<'_>,
    server: Fingerprint,
    name: &ClientName,
    key: Fingerprint,
    is_account: bool,
    now: Timestamp,
) -> Result<(), Abort> {
    let id = ensure(transaction, server, name, now)?;
    let sql = "UPDATE contacts SET name = ?2, is_account = ?3, seen = ?4 WHERE id = ?1";
    transaction.execute(sql, params![id, name.as_str(), is_account, micros(now)])?;
    let sql = "INSERT INTO keys (contact, key, first_seen, last_seen) VALUES (?1, ?2, ?3, ?3) \
               ON CONFLICT DO UPDATE SET last_seen = excluded.last_seen";
    transaction.execute(sql, params![id, key.0, micros(now)])?;
    Ok(())
}

/// The contact of a row, without its keys, and the row's id.
fn contact(row: &Row<'_>) -> rusqlite::Result<(i64, Contact)> {
    let contact = Contact {
        server: value(row, "server")?,
        name: value(row, "name")?,
        is_account: row.get("is_account")?,
        is_accepted: row.get("is_accepted")?,
        is_blocked: row.get("is_blocked")?,
        always_accept: optional(row, "accept_folder")?,
        keys: Vec::new(),
    };
    Ok((row.get("id")?, contact))
}

fn add_keys(
    transaction: &Transaction<'_>,
    (id, mut contact): (i64, Contact),
) -> rusqlite::Result<(i64, Contact)> {
    let sql = "SELECT * FROM keys WHERE contact = ?1 ORDER BY first_seen, key";
    let mut rows = transaction.prepare_cached(sql)?;
    let key = |row: &Row<'_>| {
        Ok(ContactKey {
            key: value(row, "key")?,
            first_seen: value(row, "first_seen")?,
            last_seen: value(row, "last_seen")?,
            verified: optional(row, "verified")?,
        })
    };
    contact.keys = rows.query_map([id], key)?.collect::<rusqlite::Result<_>>()?;
    Ok((id, contact))
}
