//! The plan's rows as SQL.

use chrono::{DateTime, Utc};
use quiver_protocol::{ContentHash, FilePath, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql};

use super::{Decision, FoundEntry, ItemCount, ItemKind, PlanError, PlanItem, PlanItemState};

/// Targets are unique.
pub(super) const TABLE: &str = "
    create table items (
        number integer primary key,
        source_root integer not null,
        source text not null,
        target text not null unique,
        is_folder integer not null,
        size integer not null,
        seconds integer not null,
        nanoseconds integer not null,
        state integer not null,
        offset integer not null,
        why text,
        decision integer,
        blake3 blob
    ) strict;
    create index folders on items (number) where is_folder = 1;
";

pub(super) const INSERT: &str = "
    insert or ignore into items
        (source_root, source, target, is_folder, size, seconds, nanoseconds, state, offset, why)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

const COLUMNS: &str = "number, source_root, source, target, is_folder, size, seconds, \
                       nanoseconds, state, offset, why, decision, blake3";

const NEW: i64 = 0;
const PARTIAL: i64 = 1;
const SAME_SIZE: i64 = 2;
const SAME: i64 = 3;
const DIFFERS: i64 = 4;
const BLOCKED: i64 = 5;

/// The columns of a state: its number, its offset, and its reason.
pub(super) fn state_columns(state: &PlanItemState) -> (i64, i64, Option<&str>) {
    match state {
        PlanItemState::New => (NEW, 0, None),
        PlanItemState::Partial(offset) => (PARTIAL, offset.cast_signed(), None),
        PlanItemState::SameSize => (SAME_SIZE, 0, None),
        PlanItemState::Same => (SAME, 0, None),
        PlanItemState::Differs => (DIFFERS, 0, None),
        PlanItemState::Blocked(why) => (BLOCKED, 0, Some(why)),
    }
}

pub(super) fn select_one(
    database: &Connection,
    condition: &str,
    value: impl ToSql,
) -> Result<Option<PlanItem>, PlanError> {
    let sql = format!("select {COLUMNS} from items {condition}");
    Ok(database.prepare_cached(&sql)?.query_row([value], item).optional()?)
}

pub(super) fn select_page(
    database: &Connection,
    condition: &str,
    value: impl ToSql,
    limit: u32,
) -> Result<Vec<PlanItem>, PlanError> {
    let sql = format!("select {COLUMNS} from items {condition} limit {limit}");
    let mut rows = database.prepare_cached(&sql)?;
    Ok(rows.query_map([value], item)?.collect::<Result<_, _>>()?)
}

/// Counts rows, and adds up one of their columns.
pub(super) fn count(
    database: &Connection,
    column: &str,
    condition: &str,
    value: impl ToSql,
) -> Result<ItemCount, PlanError> {
    let sql = format!("select {column} from items where {condition}");
    let mut rows = database.prepare_cached(&sql)?;
    let mut rows = rows.query([value])?;
    let mut count = ItemCount::default();
    while let Some(row) = rows.next()? {
        count.add(row.get::<_, i64>(0)?.cast_unsigned());
    }
    Ok(count)
}

fn item(row: &Row<'_>) -> rusqlite::Result<PlanItem> {
    let kind = if row.get(4)? {
        ItemKind::Folder { modified: modified(row)? }
    } else {
        ItemKind::File { size: row.get::<_, i64>(5)?.cast_unsigned(), modified: modified(row)? }
    };
    let state = match row.get(8)? {
        NEW => PlanItemState::New,
        PARTIAL => PlanItemState::Partial(row.get::<_, i64>(9)?.cast_unsigned()),
        SAME_SIZE => PlanItemState::SameSize,
        SAME => PlanItemState::Same,
        DIFFERS => PlanItemState::Differs,
        BLOCKED => PlanItemState::Blocked(row.get(10)?),
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(8, other)),
    };
    let decision = row.get::<_, Option<i64>>(11)?.map(|number| {
        [Decision::Replace, Decision::KeepBoth, Decision::Skip]
            .into_iter()
            .find(|decision| *decision as i64 == number)
            .ok_or(rusqlite::Error::IntegralValueOutOfRange(11, number))
    });
    let found =
        FoundEntry { source_root: row.get(1)?, source: path(row, 2)?, target: path(row, 3)?, kind };
    let blake3 = row.get::<_, Option<[u8; 32]>>(12)?.map(ContentHash);
    Ok(PlanItem { number: row.get(0)?, found, state, decision: decision.transpose()?, blake3 })
}

fn path(row: &Row<'_>, index: usize) -> rusqlite::Result<FilePath> {
    let text: String = row.get(index)?;
    let failed =
        |error| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error));
    FilePath::parse(&text).map_err(failed)
}

fn modified(row: &Row<'_>) -> rusqlite::Result<Timestamp> {
    let modified: Option<DateTime<Utc>> = DateTime::from_timestamp(row.get(6)?, row.get(7)?);
    Ok(Timestamp(modified.ok_or(rusqlite::Error::IntegralValueOutOfRange(6, row.get(6)?))?))
}
