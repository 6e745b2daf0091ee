//! Outgoing offers: what this person offers to other clients, until the recipient has everything or the offer is
//! settled otherwise. Reads none of the offered files.

use std::path::PathBuf;

use quiver_protocol::{ClientName, FilePath, Fingerprint, OfferId, Timestamp, units};
use rusqlite::{OptionalExtension as _, Row, ToSql, Transaction, params};

use super::columns::{optional, path_bytes, value};
use super::offers::{self, NewRow, OfferCounts, OfferNumber};
use super::outgoing_state::OutgoingState;
use super::{Abort, PeerStore, PeerStoreError};
use crate::journal::ServerRef;

/// An offer that this person makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOffer {
    /// Its id, drawn at random.
    pub id: OfferId,
    /// The server where the recipient is.
    pub server: ServerRef,
    /// The recipient's name.
    pub recipient: ClientName,
    /// The recipient's key; `None` if it is not known yet.
    pub key: Option<Fingerprint>,
    /// What is offered.
    pub content: OfferedContent,
    /// How much is offered.
    pub counts: OfferCounts,
    /// When the offer is made.
    pub created: Timestamp,
}

/// What an outgoing offer offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferedContent {
    /// Files and folders.
    Paths(Vec<OfferedPath>),
    /// The content of standard input, under this name. It is copied to [`PeerStore::spool_path`], and removed when
    /// the offer is settled.
    Spool(FilePath),
}

/// A file or folder that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedPath {
    /// Its absolute path.
    pub path: PathBuf,
    /// The name under which it is offered.
    pub name: FilePath,
}

/// An offer that this person has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingOffer {
    /// Its number, for this person.
    pub number: OfferNumber,
    /// Its id, for the recipient.
    pub id: OfferId,
    /// The server where the recipient is.
    pub server: ServerRef,
    /// The recipient's name.
    pub recipient: ClientName,
    /// The recipient's key; `None` if it is not known yet.
    pub key: Option<Fingerprint>,
    /// What is offered.
    pub content: OfferedContent,
    /// How much is offered.
    pub counts: OfferCounts,
    /// When the offer was made.
    pub created: Timestamp,
    /// Its state.
    pub state: OutgoingState,
}

impl PeerStore {
    /// Adds an offer.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::RelativePath`].
    pub fn add_outgoing(&self, offer: NewOffer) -> Result<OutgoingOffer, PeerStoreError> {
        Ok(self.add_with(offer, |_| Ok(()))?.0)
    }

    /// Adds an offer, and runs `before_commit` with its number before other processes see it.
    pub(super) fn add_with<T>(
        &self,
        offer: NewOffer,
        before_commit: impl FnOnce(OfferNumber) -> Result<T, PeerStoreError>,
    ) -> Result<(OutgoingOffer, T), PeerStoreError> {
        let paths = match &offer.content {
            OfferedContent::Paths(paths) => paths.iter().map(|offered| &offered.path).collect(),
            OfferedContent::Spool(_) => Vec::new(),
        };
        if let Some(path) =
            paths.into_iter().chain(&offer.server.certificate).find(|path| !path.is_absolute())
        {
            return Err(PeerStoreError::RelativePath { path: path.clone() });
        }
        let (cleanup, number, prepared) = self.write(|transaction| {
            let cleanup = offers::clean_up(transaction, offer.created)?;
            let number = insert(transaction, &offer)?;
            Ok((cleanup, number, before_commit(number)?))
        })?;
        self.finish_cleanup(&cleanup);
        let NewOffer { id, server, recipient, key, content, counts, created } = offer;
        let state = OutgoingState::Open;
        let added =
            OutgoingOffer { number, id, server, recipient, key, content, counts, created, state };
        Ok((added, prepared))
    }

    /// The offers of this person, by number.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn outgoing_offers(&self, now: Timestamp) -> Result<Vec<OutgoingOffer>, PeerStoreError> {
        self.read(|transaction| Ok(select(transaction, "1 = 1", &[], now)?))
    }

    /// The offers of this person to clients of a server that are not settled, by number.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn unsettled_outgoing(
        &self,
        server: Fingerprint,
        now: Timestamp,
    ) -> Result<Vec<OutgoingOffer>, PeerStoreError> {
        let condition = "server = ?1 AND state <= ?2";
        self.read(|transaction| {
            let values = params![server.0, offers::ACCEPTED];
            let mut found = select(transaction, condition, values, now)?;
            found.retain(|offer| !offer.state.is_settled());
            Ok(found)
        })
    }

    /// The offer of this person with this number.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::UnknownOffer`].
    pub fn outgoing_offer(
        &self,
        number: OfferNumber,
        now: Timestamp,
    ) -> Result<OutgoingOffer, PeerStoreError> {
        self.read(|transaction| by_number(transaction, number, now))
    }

    /// The offer of this person with this id.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn find_outgoing(
        &self,
        id: OfferId,
        now: Timestamp,
    ) -> Result<Option<OutgoingOffer>, PeerStoreError> {
        self.read(|transaction| Ok(select(transaction, "id = ?1", params![id.0], now)?.pop()))
    }

    /// Records the recipient's key. Returns the key that the offer has: the first one that was recorded, by this or
    /// another process. The offer is for that key only.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::UnknownOffer`].
    pub fn set_recipient_key(
        &self,
        number: OfferNumber,
        key: Fingerprint,
    ) -> Result<Fingerprint, PeerStoreError> {
        self.write(|transaction| {
            let sql = "UPDATE offers SET peer_key = COALESCE(peer_key, ?2) \
                       WHERE number = ?1 AND is_incoming = 0 RETURNING peer_key";
            let values = params![number.0.cast_signed(), key.0];
            let found = transaction.query_row(sql, values, |row| value(row, "peer_key"));
            Ok(found.optional()?.ok_or(PeerStoreError::UnknownOffer { number })?)
        })
    }

    /// Records how much the offer has, once all of a pipe has been read.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::UnknownOffer`].
    pub fn set_outgoing_counts(
        &self,
        number: OfferNumber,
        counts: OfferCounts,
    ) -> Result<(), PeerStoreError> {
        self.write(|transaction| offers::set_counts(transaction, number, false, counts))
    }

    /// Changes the state of an offer that is not settled. An offer that has expired can still become
    /// [`Delivered`](OutgoingState::Delivered), because the recipient began in time. Returns the offer.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::UnknownOffer`] and [`PeerStoreError::OutgoingSettled`].
    pub fn set_outgoing_state(
        &self,
        number: OfferNumber,
        state: OutgoingState,
        now: Timestamp,
    ) -> Result<OutgoingOffer, PeerStoreError> {
        self.change_outgoing(number, now, |_| (state, None))
    }

    /// Records what the recipient has stored. The offer is [`Delivered`](OutgoingState::Delivered) if that is as many
    /// files as it has, and [`Failed`](OutgoingState::Failed) otherwise. Returns the offer, whose counts are then those
    /// of the recipient if it is delivered.
    ///
    /// # Errors
    /// As [`set_outgoing_state`](Self::set_outgoing_state).
    pub fn record_stored(
        &self,
        number: OfferNumber,
        files: u64,
        bytes: u64,
        now: Timestamp,
    ) -> Result<OutgoingOffer, PeerStoreError> {
        self.change_outgoing(number, now, |offer| {
            let (name, offered) = (&offer.recipient, offer.counts.files);
            if files < offered {
                let offered = units::counted(offered, "file");
                let why = format!("{name} has stored {files} of {offered}");
                return (OutgoingState::Failed(why), None);
            }
            let counts = OfferCounts { files, bytes: Some(bytes), ..offer.counts };
            (OutgoingState::Delivered, Some(counts))
        })
    }

    /// Changes the state of an offer in one transaction, and its counts if `next` returns other ones.
    fn change_outgoing(
        &self,
        number: OfferNumber,
        now: Timestamp,
        next: impl FnOnce(&OutgoingOffer) -> (OutgoingState, Option<OfferCounts>),
    ) -> Result<OutgoingOffer, PeerStoreError> {
        let changed = self.write(|transaction| {
            let offer = by_number(transaction, number, now)?;
            let (state, counts) = next(&offer);
            let is_late_delivery =
                (&offer.state, &state) == (&OutgoingState::Expired, &OutgoingState::Delivered);
            if offer.state.is_settled() && !is_late_delivery {
                return Err(PeerStoreError::OutgoingSettled { number, state: offer.state }.into());
            }
            let why = match &state {
                OutgoingState::Failed(why) => Some(why.as_str()),
                _ => None,
            };
            offers::set_state(transaction, number, state.number(), why, now)?;
            if let Some(counts) = counts {
                offers::set_counts(transaction, number, false, counts)?;
            }
            Ok(OutgoingOffer { state, counts: counts.unwrap_or(offer.counts), ..offer })
        })?;
        if changed.state.is_settled() {
            self.remove_spools(&[number]);
        }
        Ok(changed)
    }
}

fn insert(transaction: &Transaction<'_>, offer: &NewOffer) -> rusqlite::Result<OfferNumber> {
    let (paths, spooled_as) = match &offer.content {
        OfferedContent::Paths(paths) => (paths.as_slice(), None),
        OfferedContent::Spool(name) => (&[][..], Some(name.as_str())),
    };
    let row = NewRow {
        is_incoming: false,
        id: offer.id,
        server: &offer.server,
        peer_name: &offer.recipient,
        peer_key: offer.key,
        counts: offer.counts,
        created: offer.created,
        spooled_as,
    };
    let number = offers::insert(transaction, &row)?;
    let sql = "INSERT INTO offered_paths (offer, position, path, name) VALUES (?1, ?2, ?3, ?4)";
    let mut insert = transaction.prepare_cached(sql)?;
    for (position, OfferedPath { path, name }) in paths.iter().enumerate() {
        let (number, position) = (number.0.cast_signed(), (position as u64).cast_signed());
        insert.execute(params![number, position, path_bytes(path), name.as_str()])?;
    }
    Ok(number)
}

fn by_number(
    transaction: &Transaction<'_>,
    number: OfferNumber,
    now: Timestamp,
) -> Result<OutgoingOffer, Abort> {
    let values = params![number.0.cast_signed()];
    let found = select(transaction, "number = ?1", values, now)?.pop();
    Ok(found.ok_or(PeerStoreError::UnknownOffer { number })?)
}

fn select(
    transaction: &Transaction<'_>,
    condition: &str,
    values: &[&dyn ToSql],
    now: Timestamp,
) -> rusqlite::Result<Vec<OutgoingOffer>> {
    let sql =
        format!("SELECT * FROM offers WHERE is_incoming = 0 AND ({condition}) ORDER BY number");
    let mut rows = transaction.prepare_cached(&sql)?;
    let rows = rows.query_map(values, |row| outgoing(transaction, row, now))?;
    rows.collect()
}

fn outgoing(
    transaction: &Transaction<'_>,
    row: &Row<'_>,
    now: Timestamp,
) -> rusqlite::Result<OutgoingOffer> {
    let key = optional(row, "peer_key")?;
    let spooled_as = optional(row, "spooled_as")?;
    let common = offers::read(row, now)?;
    let state = match common.state {
        offers::OPEN => OutgoingState::Open,
        offers::ACCEPTED => OutgoingState::Accepted,
        offers::COMPLETE => OutgoingState::Delivered,
        offers::DECLINED => OutgoingState::Declined,
        offers::WITHDRAWN => OutgoingState::Withdrawn,
        offers::FAILED => OutgoingState::Failed(common.why.unwrap_or_default()),
        offers::EXPIRED => OutgoingState::Expired,
        other => return Err(offers::invalid_state(other)),
    };
    let content = match spooled_as {
        Some(name) => OfferedContent::Spool(name),
        None => OfferedContent::Paths(paths(transaction, common.number)?),
    };
    Ok(OutgoingOffer {
        number: common.number,
        id: common.id,
        server: common.server,
        recipient: common.peer_name,
        key,
        content,
        counts: common.counts,
        created: common.created,
        state,
    })
}

fn paths(transaction: &Transaction<'_>, number: OfferNumber) -> rusqlite::Result<Vec<OfferedPath>> {
    let sql = "SELECT path, name FROM offered_paths WHERE offer = ?1 ORDER BY position";
    let mut rows = transaction.prepare_cached(sql)?;
    let path =
        |row: &Row<'_>| Ok(OfferedPath { path: value(row, "path")?, name: value(row, "name")? });
    rows.query_map([number.0.cast_signed()], path)?.collect()
}
