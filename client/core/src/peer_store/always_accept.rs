//! Verified contacts whose offers are accepted without a question, each into a folder. The rule ends when the contact is
//! blocked or forgotten, or shows a changed key.

use std::path::{Path, PathBuf};

use quiver_protocol::{ClientName, Fingerprint, Timestamp};
use rusqlite::{Transaction, params};

use super::columns::path_bytes;
use super::contact::Contact;
use super::contacts;
use super::incoming::{self, IncomingOffer, IncomingState};
use super::offers::OfferNumber;
use super::{PeerStore, PeerStoreError};

impl PeerStore {
    /// Accepts the offers of a contact from now on, into this folder; `None` ends that. Returns whether that is so: a
    /// contact whose offers are to be accepted is known, not blocked, and has a verified key.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::RelativePath`].
    pub fn set_always_accept(
        &self,
        server: Fingerprint,
        name: &ClientName,
        folder: Option<&Path>,
    ) -> Result<bool, PeerStoreError> {
        if let Some(path) = folder.filter(|folder| folder.is_relative()) {
            return Err(PeerStoreError::RelativePath { path: path.to_owned() });
        }
        self.write(|transaction| {
            let Some((id, contact)) = contacts::find(transaction, server, name)? else {
                return Ok(folder.is_none());
            };
            if folder.is_some() && (contact.is_blocked || !has_verified_key(&contact, None)) {
                return Ok(false);
            }
            let sql = "UPDATE contacts SET accept_folder = ?2 WHERE id = ?1";
            transaction.execute(sql, params![id, folder.map(path_bytes)])?;
            Ok(true)
        })
    }

    /// Accepts an open offer, if its sender is a contact whose offers are accepted without a question, and has a
    /// verified key and is not blocked now. Returns the offer, which is accepted then.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn accept_by_rule(
        &self,
        number: OfferNumber,
        now: Timestamp,
    ) -> Result<Option<IncomingOffer>, PeerStoreError> {
        let offer = self.incoming_offer(number, now)?;
        let found = self.read(|transaction| Ok(rule(transaction, &offer)?))?;
        let Some(folder) = found else { return Ok(None) };
        // Not while other processes wait for the database. Without the folder, a person has to decide.
        if !folder.is_dir() {
            return Ok(None);
        }
        self.write(|transaction| {
            let offer = incoming::by_number(transaction, number, now)?;
            if offer.state != IncomingState::Open
                || rule(transaction, &offer)? != Some(folder.clone())
            {
                return Ok(None);
            }
            let state = IncomingState::Accepted { folder };
            incoming::set_state(transaction, number, &state, now)?;
            Ok(Some(IncomingOffer { state, ..offer }))
        })
    }
}

/// The folder for an offer, if a rule accepts it.
fn rule(transaction: &Transaction<'_>, offer: &IncomingOffer) -> rusqlite::Result<Option<PathBuf>> {
    let server = offer.server.fingerprint;
    let found = contacts::admitted(transaction, server, &offer.sender, offer.key)?;
    let contact = found.map(|(_, contact)| contact);
    let contact = contact.filter(|contact| has_verified_key(contact, Some(offer.key)));
    Ok(contact.and_then(|contact| contact.always_accept))
}

/// Whether this key is verified, or any.
fn has_verified_key(contact: &Contact, key: Option<Fingerprint>) -> bool {
    let mut keys = contact.keys.iter();
    keys.any(|known| known.verified.is_some() && key.is_none_or(|key| known.key == key))
}
