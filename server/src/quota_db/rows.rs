//! The database's rows. Knows SQL, and nothing of quotas.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Result, Row, TransactionBehavior, params};

use super::{Owner, OwnerTotals, Sum};

/// What this version writes. An older file is brought up to it, a newer one is another version's.
pub(super) const SCHEMA: i64 = 2;

/// Paths are keys, so that one file or folder is one row; parts are known by the number in their name.
const TABLES: &str = "
    CREATE TABLE files (path TEXT PRIMARY KEY, owner TEXT NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE parts (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, size INTEGER NOT NULL);
    CREATE TABLE secret (key BLOB NOT NULL);
";

/// Changes that are recorded before they are made, for a crash in between: `renames` of files and folders, and
/// the rows, if any, of files that are being `replaced`. Both are empty but for moments. The rows of files that
/// are not there, `missing` since a second of the Unix time, come back with them.
const TABLES_OF_2: &str = "
    CREATE TABLE renames (id INTEGER PRIMARY KEY, source TEXT NOT NULL, target TEXT NOT NULL, inode INTEGER NOT NULL);
    CREATE TABLE missing (path TEXT PRIMARY KEY, owner TEXT NOT NULL, size INTEGER NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE replaced (path TEXT PRIMARY KEY, owner TEXT, size INTEGER NOT NULL, inode INTEGER NOT NULL) WITHOUT ROWID;
";

/// Makes what is missing; the version of what is there.
pub(super) fn prepare(connection: &mut Connection) -> Result<i64> {
    // One server a state folder: the lock is held until the end. No write waits for the disk: what the
    // power takes are the last rows, which the cleanup mends; a killed process loses nothing.
    connection.busy_timeout(Duration::ZERO)?;
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
    )?;
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = change.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        change.execute_batch(TABLES)?;
        change.execute("INSERT INTO secret SELECT randomblob(32)", [])?;
    }
    if !(0..SCHEMA).contains(&version) {
        return Ok(version);
    }
    change.execute_batch(TABLES_OF_2)?;
    change.pragma_update(None, "user_version", SCHEMA)?;
    change.commit()?;
    Ok(SCHEMA)
}

pub(super) fn key(connection: &Connection) -> Result<[u8; 32]> {
    connection.query_row("SELECT key FROM secret", [], |row| row.get(0))
}

pub(super) fn sums(connection: &Connection) -> Result<OwnerTotals> {
    let mut sums = OwnerTotals::default();
    for (owner, files) in totals(connection)? {
        sums.owners.insert(owner, Sum { files, ..Sum::default() });
    }
    let mut rows = connection.prepare("SELECT id, owner, size FROM parts")?;
    let part = |row: &Row<'_>| {
        Ok((row.get::<_, i64>(0)?.cast_unsigned(), owner(row, 1)?, unsigned(row.get(2)?)))
    };
    let parts = rows.query_map([], part)?.collect::<Result<_>>()?;
    sums.set_parts(parts);
    Ok(sums)
}

/// What each owner's files and folders count.
pub(super) fn totals(database: &Connection) -> Result<Vec<(Owner, u64)>> {
    database
        .prepare("SELECT owner, TOTAL(size) FROM files GROUP BY owner")?
        .query_map([], total)?
        .collect()
}

fn total(row: &Row<'_>) -> Result<(Owner, u64)> {
    // TOTAL never overflows; beyond 2^53 a byte more or less is no matter.
    Ok((owner(row, 0)?, row.get::<_, f64>(1)? as u64))
}

pub(super) fn put_part(database: &Connection, id: u64, owner: &Owner, size: u64) -> Result<()> {
    database.prepare_cached("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)")?.execute(params![
        id.cast_signed(),
        &*owner.0,
        signed(size)
    ])?;
    Ok(())
}

pub(super) fn drop_part(database: &Connection, id: u64) -> Result<()> {
    database.prepare_cached("DELETE FROM parts WHERE id = ?")?.execute([id.cast_signed()])?;
    Ok(())
}

pub(super) fn file(database: &Connection, path: &str) -> Result<Option<(Owner, u64)>> {
    database
        .prepare_cached("SELECT owner, size FROM files WHERE path = ?")?
        .query_row([path], |row| Ok((owner(row, 0)?, unsigned(row.get(1)?))))
        .optional()
}

pub(super) fn put_file(database: &Connection, path: &str, owner: &Owner, size: u64) -> Result<()> {
    database.prepare_cached("INSERT OR REPLACE INTO files VALUES (?, ?, ?)")?.execute(params![
        path,
        &*owner.0,
        signed(size)
    ])?;
    Ok(())
}

pub(super) fn take_file(database: &Connection, path: &str) -> Result<Option<(Owner, u64)>> {
    let gone = file(database, path)?;
    database.prepare_cached("DELETE FROM files WHERE path = ?")?.execute([path])?;
    Ok(gone)
}

/// Sets the row of a file aside that is not there; what it counted.
pub(super) fn set_aside(
    database: &mut Connection,
    path: &str,
    since: i64,
) -> Result<Option<(Owner, u64)>> {
    let change = database.transaction()?;
    let gone = take_file(&change, path)?;
    if let Some((owner, size)) = &gone {
        let row = params![path, &*owner.0, signed(*size), since];
        change.execute("INSERT OR REPLACE INTO missing VALUES (?, ?, ?, ?)", row)?;
    }
    change.commit()?;
    Ok(gone)
}

/// Brings back the row of a file that was missing, where its path has no other; what it counts.
pub(super) fn bring_back(database: &mut Connection, path: &str) -> Result<Option<(Owner, u64)>> {
    let change = database.transaction()?;
    let found = change
        .query_row("SELECT owner, size FROM missing WHERE path = ?", [path], |row| {
            Ok((owner(row, 0)?, unsigned(row.get(1)?)))
        })
        .optional()?;
    change.execute("DELETE FROM missing WHERE path = ?", [path])?;
    let back = if file(&change, path)?.is_none() { found } else { None };
    if let Some((owner, size)) = &back {
        put_file(&change, path, owner, *size)?;
    }
    change.commit()?;
    Ok(back)
}

pub(super) fn missing_after(
    database: &Connection,
    path: &str,
    most: u32,
) -> Result<Vec<(String, u64)>> {
    database
        .prepare("SELECT path, size FROM missing WHERE path > ? ORDER BY path LIMIT ?")?
        .query_map(params![path, most], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?
        .collect()
}

pub(super) fn forget_missing(database: &Connection, before: i64) -> Result<()> {
    database.execute("DELETE FROM missing WHERE since < ?", [before])?;
    Ok(())
}

/// Deletes the rows of a path and of all below it; what they counted.
pub(super) fn take_tree(database: &Connection, path: &str) -> Result<Vec<(Owner, u64)>> {
    // What lies in a folder begins with its path and a slash; '0' is the character after '/'.
    let gone = database
        .prepare_cached(
            "SELECT owner, TOTAL(size) FROM files
             WHERE path = ?1 OR (path > ?1 || '/' AND path < ?1 || '0') GROUP BY owner",
        )?
        .query_map([path], total)?
        .collect::<Result<Vec<_>>>()?;
    if !gone.is_empty() {
        database
            .prepare_cached(
                "DELETE FROM files WHERE path = ?1 OR (path > ?1 || '/' AND path < ?1 || '0')",
            )?
            .execute([path])?;
    }
    Ok(gone)
}

/// What the rows counted that were at the new path, or below it.
pub(super) fn rename(database: &Connection, from: &str, to: &str) -> Result<Vec<(Owner, u64)>> {
    // The file system had nothing there, or a file that gave way: other rows are of what the operator removed.
    let gone = take_tree(database, to)?;
    database
        .prepare_cached(
            "UPDATE files SET path = ?2 || substr(path, length(?1) + 1)
             WHERE path = ?1 OR (path > ?1 || '/' AND path < ?1 || '0')",
        )?
        .execute([from, to])?;
    Ok(gone)
}

pub(super) fn files_after(
    database: &Connection,
    path: &str,
    most: u32,
) -> Result<Vec<(String, u64)>> {
    database
        .prepare("SELECT path, size FROM files WHERE path > ? ORDER BY path LIMIT ?")?
        .query_map(params![path, most], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?
        .collect()
}

/// The parts of which the quota database knows whose they are and that nobody has now.
pub(super) fn mend_parts(
    database: &mut Connection,
    is_running: impl Fn(u64) -> bool,
    size: impl Fn(u64) -> Option<u64>,
) -> Result<Vec<(u64, Owner, u64)>> {
    let change = database.transaction()?;
    let mut kept = Vec::new();
    {
        let mut rows = change.prepare("SELECT id, owner FROM parts")?;
        let mut rows = rows.query([])?;
        let mut update = change.prepare("UPDATE parts SET size = ? WHERE id = ?")?;
        while let Some(row) = rows.next()? {
            let id = row.get::<_, i64>(0)?.cast_unsigned();
            if is_running(id) {
                continue;
            }
            match size(id) {
                None => drop_part(&change, id)?,
                Some(size) => {
                    update.execute([signed(size), id.cast_signed()])?;
                    kept.push((id, owner(row, 1)?, size));
                }
            }
        }
    }
    change.commit()?;
    Ok(kept)
}

fn owner(row: &Row<'_>, index: usize) -> Result<Owner> {
    Ok(Owner(row.get::<_, String>(index)?.into()))
}

/// No file is larger than what SQLite counts to.
fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn unsigned(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}
