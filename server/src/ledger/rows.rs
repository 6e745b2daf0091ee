//! The database's rows. Knows SQL, and nothing of quotas.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Result, Row, TransactionBehavior, params};

use super::{Owner, Sum, Sums};

/// What this version writes. Another number is another version's file.
pub(super) const SCHEMA: i64 = 1;

/// Paths are keys, so that one file is one row; parts are known by the number in their name.
const TABLES: &str = "
    CREATE TABLE files (path TEXT PRIMARY KEY, owner TEXT NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE parts (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, size INTEGER NOT NULL);
    CREATE TABLE secret (key BLOB NOT NULL);
";

/// Makes what is missing; the version of what is there.
pub(super) fn prepare(connection: &mut Connection) -> Result<i64> {
    // One server a state folder: the lock is held until the end. No write waits for the disk: what the
    // power takes are the last rows, which the janitor mends; a killed process loses nothing.
    connection.busy_timeout(Duration::ZERO)?;
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
    )?;
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = change.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        change.execute_batch(TABLES)?;
        change.execute("INSERT INTO secret SELECT randomblob(32)", [])?;
        change.pragma_update(None, "user_version", SCHEMA)?;
    }
    change.commit()?;
    Ok(if version == 0 { SCHEMA } else { version })
}

pub(super) fn key(connection: &Connection) -> Result<[u8; 32]> {
    connection.query_row("SELECT key FROM secret", [], |row| row.get(0))
}

pub(super) fn sums(connection: &Connection) -> Result<Sums> {
    let mut sums = Sums::default();
    let mut rows = connection.prepare("SELECT owner, TOTAL(size) FROM files GROUP BY owner")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        // TOTAL never overflows; beyond 2^53 a byte more or less is no matter.
        let files = row.get::<_, f64>(1)? as u64;
        sums.owners.insert(owner(row, 0)?, Sum { files, ..Sum::default() });
    }
    let mut rows = connection.prepare("SELECT id, owner, size FROM parts")?;
    let part = |row: &Row<'_>| {
        Ok((row.get::<_, i64>(0)?.cast_unsigned(), owner(row, 1)?, unsigned(row.get(2)?)))
    };
    let parts = rows.query_map([], part)?.collect::<Result<_>>()?;
    sums.set_parts(parts);
    Ok(sums)
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

/// Whose and how large the file was that stood there.
pub(super) fn settle(
    database: &mut Connection,
    path: &str,
    owner: &Owner,
    size: u64,
    part: Option<u64>,
) -> Result<Option<(Owner, u64)>> {
    let change = database.transaction()?;
    let gone = file(&change, path)?;
    put_file(&change, path, owner, size)?;
    if let Some(id) = part {
        drop_part(&change, id)?;
    }
    change.commit()?;
    Ok(gone)
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

/// What stood under the new path.
pub(super) fn rename(
    database: &mut Connection,
    from: &str,
    to: &str,
) -> Result<Option<(Owner, u64)>> {
    let change = database.transaction()?;
    let gone = take_file(&change, to)?;
    // What lies in a folder begins with its path and a slash; '0' is the character after '/'.
    change
        .prepare_cached(
            "UPDATE files SET path = ?2 || substr(path, length(?1) + 1)
             WHERE path = ?1 OR (path > ?1 || '/' AND path < ?1 || '0')",
        )?
        .execute([from, to])?;
    change.commit()?;
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

/// The parts of which the ledger knows whose they are and that nobody has now.
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
