//! What outgoing and incoming offers share: numbers, counts, states in the database, expiry and removal.

use std::fmt;
use std::path::PathBuf;

use quiver_protocol::{ClientName, Fingerprint, OfferId, Timestamp};
use rusqlite::{Row, Transaction, params};

use super::columns::{micros, optional, path_bytes, value};
use super::{Abort, PeerStore, PeerStoreError};
use crate::journal::ServerRef;

/// How long an offer can be accepted, and fetched, after it was made or first received: 7 days, in microseconds.
const LIFETIME: i64 = 7 * DAY;

/// How long a settled offer is kept: 30 days, in microseconds.
const SETTLED_RETENTION: i64 = 30 * DAY;

const DAY: i64 = 24 * 3600 * 1_000_000;

/// Settled offers of each direction that are kept.
const MAX_SETTLED: i64 = 1000;

/// States as numbers in the database. Those after `ACCEPTED` are settled.
pub(super) const OPEN: i64 = 0;
pub(super) const ACCEPTED: i64 = 1;
/// Delivered, or stored.
pub(super) const COMPLETE: i64 = 2;
pub(super) const DECLINED: i64 = 3;
pub(super) const WITHDRAWN: i64 = 4;
pub(super) const FAILED: i64 = 5;
pub(super) const EXPIRED: i64 = 6;

/// The number of an offer in this user's database, from 1: what a person types. Outgoing and incoming offers share
/// the numbers, and a number is not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OfferNumber(pub u64);

impl fmt::Display for OfferNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How much an offer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferCounts {
    /// Top-level files and folders.
    pub count: u64,
    /// All files.
    pub files: u64,
    /// Bytes of all files; `None` if the sender does not know yet, as for a pipe.
    pub bytes: Option<u64>,
}

/// The columns that both directions have.
#[derive(Debug)]
pub(super) struct OfferRow {
    pub(super) number: OfferNumber,
    pub(super) id: OfferId,
    pub(super) server: ServerRef,
    pub(super) peer_name: ClientName,
    pub(super) counts: OfferCounts,
    pub(super) created: Timestamp,
    /// With the expiry at the time of reading.
    pub(super) state: i64,
    pub(super) why: Option<String>,
}

/// What a new row has beside its defaults.
#[derive(Debug)]
pub(super) struct NewRow<'a> {
    pub(super) is_incoming: bool,
    pub(super) id: OfferId,
    pub(super) server: &'a ServerRef,
    pub(super) peer_name: &'a ClientName,
    pub(super) peer_key: Option<Fingerprint>,
    pub(super) counts: OfferCounts,
    pub(super) created: Timestamp,
    pub(super) spooled_as: Option<&'a str>,
}

/// The offers whose files a cleanup makes useless.
#[derive(Debug)]
pub(super) struct CleanupResult {
    expired: Vec<OfferNumber>,
    removed: Vec<OfferNumber>,
}

impl PeerStore {
    /// Marks offers as expired, and removes settled ones: those that have been settled for 30 days, and of each
    /// direction those beyond 1,000. [`add_outgoing`](Self::add_outgoing) and
    /// [`record_incoming`](Self::record_incoming) do the same; no result depends on how often it is done.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn cleanup(&self, now: Timestamp) -> Result<(), PeerStoreError> {
        let result = self.write(|transaction| Ok(clean_up(transaction, now)?))?;
        self.finish_cleanup(&result);
        Ok(())
    }

    /// Removes files after the transaction with the cleanup.
    pub(super) fn finish_cleanup(&self, result: &CleanupResult) {
        self.remove_spools(&result.expired);
        self.remove_files(&result.removed);
    }
}

pub(super) fn clean_up(
    transaction: &Transaction<'_>,
    now: Timestamp,
) -> rusqlite::Result<CleanupResult> {
    let sql = "UPDATE offers SET state = ?1, settled = created + ?2 \
               WHERE state <= ?3 AND created + ?2 <= ?4 RETURNING number";
    let expire = params![EXPIRED, LIFETIME, ACCEPTED, micros(now)];
    let expired = numbers(transaction, sql, expire)?;
    let sql = "DELETE FROM offers WHERE state > ?1 AND settled <= ?2 RETURNING number";
    let oldest = micros(now).saturating_sub(SETTLED_RETENTION);
    let mut removed = numbers(transaction, sql, params![ACCEPTED, oldest])?;
    // A sender can make and withdraw any number of offers, so these are removed first.
    let sql = "DELETE FROM offers WHERE number IN (
        SELECT number FROM offers WHERE is_incoming = ?1 AND state > ?2
        ORDER BY state = ?3, settled DESC, number DESC LIMIT -1 OFFSET ?4) RETURNING number";
    for is_incoming in [false, true] {
        let surplus = params![is_incoming, ACCEPTED, WITHDRAWN, MAX_SETTLED];
        removed.extend(numbers(transaction, sql, surplus)?);
    }
    Ok(CleanupResult { expired, removed })
}

fn numbers(
    transaction: &Transaction<'_>,
    sql: &str,
    values: &[&dyn rusqlite::ToSql],
) -> rusqlite::Result<Vec<OfferNumber>> {
    let mut rows = transaction.prepare_cached(sql)?;
    rows.query_map(values, |row| Ok(OfferNumber(value(row, "number")?)))?.collect()
}

/// Inserts an open offer and returns its number.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    row: &NewRow<'_>,
) -> rusqlite::Result<OfferNumber> {
    let sql = "INSERT INTO offers \
               (is_incoming, id, address, server, certificate, own_name, peer_name_key, peer_name, \
                peer_key, count, files, bytes, created, announced, spooled_as, state) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13, ?14, ?15)";
    let OfferCounts { count, files, bytes } = row.counts;
    transaction.prepare_cached(sql)?.execute(params![
        row.is_incoming,
        row.id.0,
        row.server.address.to_string(),
        row.server.fingerprint.0,
        row.server.certificate.as_deref().map(path_bytes),
        row.server.name.as_str(),
        row.peer_name.key(),
        row.peer_name.as_str(),
        row.peer_key.map(|key| key.0),
        count.cast_signed(),
        files.cast_signed(),
        bytes.map(u64::cast_signed),
        micros(row.created),
        row.spooled_as,
        OPEN,
    ])?;
    Ok(OfferNumber(transaction.last_insert_rowid().cast_unsigned()))
}

/// Reads the columns that both directions have. An offer whose time is over is expired, even if no cleanup has
/// changed its row yet.
pub(super) fn read(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<OfferRow> {
    let (state, created): (i64, Timestamp) = (row.get("state")?, value(row, "created")?);
    let is_over = state <= ACCEPTED && micros(created).saturating_add(LIFETIME) <= micros(now);
    Ok(OfferRow {
        number: OfferNumber(value(row, "number")?),
        id: value(row, "id")?,
        server: ServerRef {
            address: value(row, "address")?,
            fingerprint: value(row, "server")?,
            certificate: optional::<PathBuf>(row, "certificate")?,
            name: value(row, "own_name")?,
        },
        peer_name: value(row, "peer_name")?,
        counts: OfferCounts {
            count: value(row, "count")?,
            files: value(row, "files")?,
            bytes: optional(row, "bytes")?,
        },
        created,
        state: if is_over { EXPIRED } else { state },
        why: row.get("why")?,
    })
}

/// Sets the state of an offer; `why` only for [`FAILED`].
pub(super) fn set_state(
    transaction: &Transaction<'_>,
    number: OfferNumber,
    state: i64,
    why: Option<&str>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let settled = (state > ACCEPTED).then(|| micros(now));
    let sql = "UPDATE offers SET state = ?2, why = ?3, settled = ?4 WHERE number = ?1";
    let values = params![number.0.cast_signed(), state, why, settled];
    transaction.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Replaces the counts of an offer.
pub(super) fn set_counts(
    transaction: &Transaction<'_>,
    number: OfferNumber,
    is_incoming: bool,
    counts: OfferCounts,
) -> Result<(), Abort> {
    let sql = "UPDATE offers SET count = ?3, files = ?4, bytes = ?5 \
               WHERE number = ?1 AND is_incoming = ?2";
    let OfferCounts { count, files, bytes } = counts;
    let changed = transaction.execute(
        sql,
        params![
            number.0.cast_signed(),
            is_incoming,
            count.cast_signed(),
            files.cast_signed(),
            bytes.map(u64::cast_signed),
        ],
    )?;
    if changed == 1 { Ok(()) } else { Err(PeerStoreError::UnknownOffer { number }.into()) }
}

/// The error for a state that this program does not write.
pub(super) fn invalid_state(state: i64) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(
        0,
        rusqlite::types::Type::Integer,
        format!("the state {state} is not one of an offer").into(),
    )
}
