//! The rows of incoming offers, with their entries. Decides nothing but the limits of new rows.

use std::path::PathBuf;

use quiver_protocol::reply::EntryKind;
use quiver_protocol::{Fingerprint, OfferId, OfferedEntry, Timestamp, limits};
use rusqlite::{Row, ToSql, Transaction, params};

use super::{AnnouncedOffer, IncomingOffer, IncomingState};
use crate::peer_store::columns::{micros, optional, path_bytes, value};
use crate::peer_store::offers::{self, NewRow, OfferCounts, OfferNumber};
use crate::peer_store::{Abort, PeerStoreError};

/// Incoming offers that may be unsettled at once: of all contacts, and of one.
const MAX_UNSETTLED: u64 = 64;
const MAX_UNSETTLED_OF_CONTACT: u64 = 16;

pub(super) fn record(
    transaction: &Transaction<'_>,
    announced: AnnouncedOffer<'_>,
    now: Timestamp,
) -> Result<IncomingOffer, Abort> {
    let AnnouncedOffer { server, sender, key, offer } = announced;
    if let Some(known) = by_id(transaction, server.fingerprint, key, offer.offer, now)? {
        let sql = "UPDATE offers SET announced = ?2 WHERE number = ?1";
        transaction.execute(sql, params![known.number.0.cast_signed(), micros(now)])?;
        return Ok(IncomingOffer { last_announced: now, ..known });
    }
    let unsettled = "SELECT COUNT(*) FROM offers WHERE is_incoming = 1 AND state <= ?1";
    let count = |sql: &str, values: &[&dyn ToSql]| {
        transaction.query_row(sql, values, |row| value::<u64>(row, "COUNT(*)"))
    };
    if count(unsettled, params![offers::ACCEPTED])? >= MAX_UNSETTLED {
        return Err(PeerStoreError::TooManyOffers { limit: MAX_UNSETTLED }.into());
    }
    let of_contact = format!("{unsettled} AND server = ?2 AND peer_name_key = ?3");
    let values = params![offers::ACCEPTED, server.fingerprint.0, sender.key()];
    if count(&of_contact, values)? >= MAX_UNSETTLED_OF_CONTACT {
        return Err(PeerStoreError::TooManyOffers { limit: MAX_UNSETTLED_OF_CONTACT }.into());
    }
    let counts = OfferCounts { count: offer.count, files: offer.files, bytes: offer.bytes };
    let row = NewRow {
        is_incoming: true,
        id: offer.offer,
        server,
        peer_name: sender,
        peer_key: Some(key),
        counts,
        created: now,
        spooled_as: None,
    };
    let number = offers::insert(transaction, &row)?;
    let sql = "INSERT INTO offered_entries (offer, position, name, is_folder, size) \
               VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut insert = transaction.prepare_cached(sql)?;
    for (position, entry) in (0_i64..).zip(offer.entries.iter().take(limits::OFFERED_NAMES)) {
        let is_folder = entry.kind == EntryKind::Folder;
        let (number, size) = (number.0.cast_signed(), entry.size.map(u64::cast_signed));
        insert.execute(params![number, position, entry.name.as_str(), is_folder, size])?;
    }
    by_number(transaction, number, now)
}

pub(in super::super) fn set_state(
    transaction: &Transaction<'_>,
    number: OfferNumber,
    state: &IncomingState,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let (column, why) = match state {
        IncomingState::Open => (offers::OPEN, None),
        IncomingState::Accepted { folder } => {
            let sql = "UPDATE offers SET folder = ?2 WHERE number = ?1";
            transaction.execute(sql, params![number.0.cast_signed(), path_bytes(folder)])?;
            (offers::ACCEPTED, None)
        }
        IncomingState::Stored { files, bytes, at: _ } => {
            let sql = "UPDATE offers SET stored_files = ?2, stored_bytes = ?3 WHERE number = ?1";
            let (files, bytes) = (files.cast_signed(), bytes.cast_signed());
            transaction.execute(sql, params![number.0.cast_signed(), files, bytes])?;
            (offers::COMPLETE, None)
        }
        IncomingState::Declined => (offers::DECLINED, None),
        IncomingState::Withdrawn => (offers::WITHDRAWN, None),
        IncomingState::Failed(why) => (offers::FAILED, Some(why.as_str())),
        IncomingState::Expired => (offers::EXPIRED, None),
    };
    offers::set_state(transaction, number, column, why, now)
}

pub(in super::super) fn by_number(
    transaction: &Transaction<'_>,
    number: OfferNumber,
    now: Timestamp,
) -> Result<IncomingOffer, Abort> {
    let values = params![number.0.cast_signed()];
    let found = select(transaction, "number = ?1", values, now)?.pop();
    Ok(found.ok_or(PeerStoreError::UnknownOffer { number })?)
}

pub(super) fn by_id(
    transaction: &Transaction<'_>,
    server: Fingerprint,
    key: Fingerprint,
    id: OfferId,
    now: Timestamp,
) -> rusqlite::Result<Option<IncomingOffer>> {
    let condition = "server = ?1 AND peer_key = ?2 AND id = ?3";
    Ok(select(transaction, condition, params![server.0, key.0, id.0], now)?.pop())
}

pub(super) fn select(
    transaction: &Transaction<'_>,
    condition: &str,
    values: &[&dyn ToSql],
    now: Timestamp,
) -> rusqlite::Result<Vec<IncomingOffer>> {
    let sql =
        format!("SELECT * FROM offers WHERE is_incoming = 1 AND ({condition}) ORDER BY number");
    let mut rows = transaction.prepare_cached(&sql)?;
    let rows = rows.query_map(values, |row| incoming(transaction, row, now))?;
    rows.collect()
}

/// Whether an offer was accepted at some time.
pub(super) fn has_folder(
    transaction: &Transaction<'_>,
    number: OfferNumber,
) -> rusqlite::Result<bool> {
    let sql = "SELECT folder IS NOT NULL FROM offers WHERE number = ?1";
    transaction.query_row(sql, [number.0.cast_signed()], |row| row.get(0))
}

fn incoming(
    transaction: &Transaction<'_>,
    row: &Row<'_>,
    now: Timestamp,
) -> rusqlite::Result<IncomingOffer> {
    let common = offers::read(row, now)?;
    let state = match common.state {
        offers::OPEN => IncomingState::Open,
        offers::ACCEPTED => IncomingState::Accepted { folder: value::<PathBuf>(row, "folder")? },
        offers::COMPLETE => IncomingState::Stored {
            files: value(row, "stored_files")?,
            bytes: value(row, "stored_bytes")?,
            at: value(row, "settled")?,
        },
        offers::DECLINED => IncomingState::Declined,
        offers::WITHDRAWN => IncomingState::Withdrawn,
        offers::FAILED => IncomingState::Failed(common.why.unwrap_or_default()),
        offers::EXPIRED => IncomingState::Expired,
        other => return Err(offers::invalid_state(other)),
    };
    Ok(IncomingOffer {
        entries: entries(transaction, common.number)?,
        number: common.number,
        id: common.id,
        server: common.server,
        sender: common.peer_name,
        key: value(row, "peer_key")?,
        counts: common.counts,
        received: common.created,
        last_announced: value(row, "announced")?,
        state,
    })
}

fn entries(
    transaction: &Transaction<'_>,
    number: OfferNumber,
) -> rusqlite::Result<Vec<OfferedEntry>> {
    let sql =
        "SELECT name, is_folder, size FROM offered_entries WHERE offer = ?1 ORDER BY position";
    let mut rows = transaction.prepare_cached(sql)?;
    let entry = |row: &Row<'_>| {
        let kind = if row.get("is_folder")? { EntryKind::Folder } else { EntryKind::File };
        Ok(OfferedEntry { name: value(row, "name")?, kind, size: optional(row, "size")? })
    };
    rows.query_map([number.0.cast_signed()], entry)?.collect()
}
