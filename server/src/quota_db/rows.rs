//! The SQL of the quota database: its schema and its rows. Knows no quotas.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Result, Row, TransactionBehavior, params};

use super::{Owner, OwnerUsage, QuotaUsage};

/// The schema version that this program writes. It migrates an older database, and refuses a newer
/// one.
pub(super) const SCHEMA_VERSION: i64 = 2;

/// The tables of version 1. A file or folder is one row, by its path; a partial file (`parts`) is
/// one row, by the id in its name.
const TABLES_V1: &str = "
    CREATE TABLE files (path TEXT PRIMARY KEY, owner TEXT NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE parts (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, size INTEGER NOT NULL);
    CREATE TABLE secret (key BLOB NOT NULL);
";

/// The tables that version 2 added. `renames` of files and folders, and the old rows, if any, of
/// files that are being `replaced`, are recorded before the change, for a crash in between;
/// normally both tables are empty. `missing` has the rows of missing files, with the Unix time in
/// seconds since when; a row is restored if its file exists again.
const TABLES_V2: &str = "
    CREATE TABLE renames (id INTEGER PRIMARY KEY, source TEXT NOT NULL, target TEXT NOT NULL, inode INTEGER NOT NULL);
    CREATE TABLE missing (path TEXT PRIMARY KEY, owner TEXT NOT NULL, size INTEGER NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE replaced (path TEXT PRIMARY KEY, owner TEXT, size INTEGER NOT NULL, inode INTEGER NOT NULL) WITHOUT ROWID;
";

/// Creates missing tables; returns the schema version of the database.
pub(super) fn migrate(connection: &mut Connection) -> Result<i64> {
    // The exclusive lock is held until the process ends, so that a state folder has one server. No
    // write waits for the disk: a power failure may lose the last rows, which the cleanup corrects;
    // a killed process loses nothing.
    connection.busy_timeout(Duration::ZERO)?;
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
    )?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(TABLES_V1)?;
        transaction.execute("INSERT INTO secret SELECT randomblob(32)", [])?;
    }
    if !(0..SCHEMA_VERSION).contains(&version) {
        return Ok(version);
    }
    transaction.execute_batch(TABLES_V2)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()?;
    Ok(SCHEMA_VERSION)
}

pub(super) fn key(connection: &Connection) -> Result<[u8; 32]> {
    connection.query_row("SELECT key FROM secret", [], |row| row.get(0))
}

/// The usage of all owners; no upload is running.
pub(super) fn load_usage(connection: &Connection) -> Result<QuotaUsage> {
    let mut usage = QuotaUsage::default();
    for (owner, files) in file_totals(connection)? {
        usage.owners.insert(owner, OwnerUsage { files, ..OwnerUsage::default() });
    }
    let mut rows = connection.prepare("SELECT id, owner, size FROM parts")?;
    let partial_file = |row: &Row<'_>| {
        Ok((row.get::<_, i64>(0)?.cast_unsigned(), owner(row, 1)?, unsigned(row.get(2)?)))
    };
    let partial_files = rows.query_map([], partial_file)?.collect::<Result<_>>()?;
    usage.set_resumable(partial_files);
    Ok(usage)
}

/// Each owner's bytes of files and folders.
pub(super) fn file_totals(database: &Connection) -> Result<Vec<(Owner, u64)>> {
    database
        .prepare("SELECT owner, TOTAL(size) FROM files GROUP BY owner")?
        .query_map([], total)?
        .collect()
}

fn total(row: &Row<'_>) -> Result<(Owner, u64)> {
    // TOTAL is a float: it never overflows, and beyond 2^53 it is off by a few bytes, which does
    // not matter.
    Ok((owner(row, 0)?, row.get::<_, f64>(1)? as u64))
}

/// Inserts the row of a partial file, or updates it.
pub(super) fn upsert_partial_file(
    database: &Connection,
    id: u64,
    owner: &Owner,
    size: u64,
) -> Result<()> {
    database.prepare_cached("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)")?.execute(params![
        id.cast_signed(),
        &*owner.0,
        signed(size)
    ])?;
    Ok(())
}

pub(super) fn delete_partial_file(database: &Connection, id: u64) -> Result<()> {
    database.prepare_cached("DELETE FROM parts WHERE id = ?")?.execute([id.cast_signed()])?;
    Ok(())
}

pub(super) fn find_file(database: &Connection, path: &str) -> Result<Option<(Owner, u64)>> {
    database
        .prepare_cached("SELECT owner, size FROM files WHERE path = ?")?
        .query_row([path], |row| Ok((owner(row, 0)?, unsigned(row.get(1)?))))
        .optional()
}

/// Inserts the row of a file or folder, or updates it.
pub(super) fn upsert_file(
    database: &Connection,
    path: &str,
    owner: &Owner,
    size: u64,
) -> Result<()> {
    database.prepare_cached("INSERT OR REPLACE INTO files VALUES (?, ?, ?)")?.execute(params![
        path,
        &*owner.0,
        signed(size)
    ])?;
    Ok(())
}

/// Deletes the row of a path and returns it.
pub(super) fn delete_file(database: &Connection, path: &str) -> Result<Option<(Owner, u64)>> {
    let deleted = find_file(database, path)?;
    database.prepare_cached("DELETE FROM files WHERE path = ?")?.execute([path])?;
    Ok(deleted)
}

/// Moves the row of a missing file from `files` to `missing`, and returns it.
pub(super) fn move_to_missing(
    database: &mut Connection,
    path: &str,
    since: i64,
) -> Result<Option<(Owner, u64)>> {
    let transaction = database.transaction()?;
    let deleted = delete_file(&transaction, path)?;
    if let Some((owner, size)) = &deleted {
        let row = params![path, &*owner.0, signed(*size), since];
        transaction.execute("INSERT OR REPLACE INTO missing VALUES (?, ?, ?, ?)", row)?;
    }
    transaction.commit()?;
    Ok(deleted)
}

/// Deletes a path's row from `missing`. If the path has no row in `files`, moves it there and
/// returns it.
pub(super) fn restore_missing(
    database: &mut Connection,
    path: &str,
) -> Result<Option<(Owner, u64)>> {
    let transaction = database.transaction()?;
    let found = transaction
        .query_row("SELECT owner, size FROM missing WHERE path = ?", [path], |row| {
            Ok((owner(row, 0)?, unsigned(row.get(1)?)))
        })
        .optional()?;
    transaction.execute("DELETE FROM missing WHERE path = ?", [path])?;
    let restored = if find_file(&transaction, path)?.is_none() { found } else { None };
    if let Some((owner, size)) = &restored {
        upsert_file(&transaction, path, owner, *size)?;
    }
    transaction.commit()?;
    Ok(restored)
}

pub(super) fn missing_after(
    database: &Connection,
    path: &str,
    limit: u32,
) -> Result<Vec<(String, u64)>> {
    database
        .prepare("SELECT path, size FROM missing WHERE path > ? ORDER BY path LIMIT ?")?
        .query_map(params![path, limit], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?
        .collect()
}

pub(super) fn forget_missing(database: &Connection, before: i64) -> Result<()> {
    database.execute("DELETE FROM missing WHERE since < ?", [before])?;
    Ok(())
}

/// Deletes the rows of a path and of everything below it; returns each owner's bytes in them.
pub(super) fn delete_tree(database: &Connection, path: &str) -> Result<Vec<(Owner, u64)>> {
    // The paths in a folder start with its path and a slash; '0' is the character after '/'.
    let deleted = database
        .prepare_cached(
            "SELECT owner, TOTAL(size) FROM files
             WHERE path = ?1 OR (path > ?1 || '/' AND path < ?1 || '0') GROUP BY owner",
        )?
        .query_map([path], total)?
        .collect::<Result<Vec<_>>>()?;
    if !deleted.is_empty() {
        database
            .prepare_cached(
                "DELETE FROM files WHERE path = ?1 OR (path > ?1 || '/' AND path < ?1 || '0')",
            )?
            .execute([path])?;
    }
    Ok(deleted)
}

/// Moves the rows of a path and of everything below it to a new path. Deletes the rows that the new
/// path had, and returns each owner's bytes in these.
pub(super) fn rename(database: &Connection, from: &str, to: &str) -> Result<Vec<(Owner, u64)>> {
    // The new path was free, or a file that was replaced. Other rows below it are of files that the
    // operator removed.
    let deleted = delete_tree(database, to)?;
    database
        .prepare_cached(
            "UPDATE files SET path = ?2 || substr(path, length(?1) + 1)
             WHERE path = ?1 OR (path > ?1 || '/' AND path < ?1 || '0')",
        )?
        .execute([from, to])?;
    Ok(deleted)
}

pub(super) fn files_after(
    database: &Connection,
    path: &str,
    limit: u32,
) -> Result<Vec<(String, u64)>> {
    database
        .prepare("SELECT path, size FROM files WHERE path > ? ORDER BY path LIMIT ?")?
        .query_map(params![path, limit], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?
        .collect()
}

/// Corrects the rows of partial files that no running upload has: to their `size`, or deleted if
/// that is `None`. Returns the ids, owners and sizes of those that remain.
pub(super) fn correct_partial_files(
    database: &mut Connection,
    is_running: impl Fn(u64) -> bool,
    size: impl Fn(u64) -> Option<u64>,
) -> Result<Vec<(u64, Owner, u64)>> {
    let transaction = database.transaction()?;
    let mut remaining = Vec::new();
    {
        let mut rows = transaction.prepare("SELECT id, owner FROM parts")?;
        let mut rows = rows.query([])?;
        let mut update = transaction.prepare("UPDATE parts SET size = ? WHERE id = ?")?;
        while let Some(row) = rows.next()? {
            let id = row.get::<_, i64>(0)?.cast_unsigned();
            if is_running(id) {
                continue;
            }
            match size(id) {
                None => delete_partial_file(&transaction, id)?,
                Some(size) => {
                    update.execute([signed(size), id.cast_signed()])?;
                    remaining.push((id, owner(row, 1)?, size));
                }
            }
        }
    }
    transaction.commit()?;
    Ok(remaining)
}

fn owner(row: &Row<'_>, index: usize) -> Result<Owner> {
    Ok(Owner(row.get::<_, String>(index)?.into()))
}

/// SQLite's integers are signed; no file is larger than they can count.
fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn unsigned(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}
