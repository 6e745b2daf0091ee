//! Renames and replaced files, recorded before the file system changes a name: a crash between the two loses no
//! row. At the next start the inode that has the name tells whether the change happened. Knows inode numbers, not
//! how to look them up.

use rusqlite::{Connection, Row, params};

use super::{Owner, OwnerTotals, QuotaDb, QuotaDbError, rows};

/// A rename that was recorded and may or may not have happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRename {
    id: i64,
    /// The path before.
    pub source: String,
    /// The path after.
    pub target: String,
    /// What is renamed.
    pub inode: u64,
}

/// A file that was about to be replaced when its new row was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedReplacement {
    /// The path of both files.
    pub path: String,
    /// The older file.
    pub inode: u64,
}

impl QuotaDb {
    /// Records that a file or folder is about to be renamed. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`]: it must not be renamed then.
    pub fn begin_rename(
        &self,
        source: &str,
        target: &str,
        inode: u64,
    ) -> Result<RecordedRename, QuotaDbError> {
        let database = self.database();
        let insert = "INSERT INTO renames (source, target, inode) VALUES (?, ?, ?)";
        let insert = database.prepare_cached(insert);
        let values = params![source, target, inode.cast_signed()];
        let id = self.checked(insert.and_then(|mut insert| insert.insert(values)))?;
        Ok(RecordedRename { id, source: source.to_owned(), target: target.to_owned(), inode })
    }

    /// Moves the rows of what was renamed, and deletes those of what the target path had. Where the rename has
    /// not `happened`, all rows stay. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`]: the record stays, for [`unfinished`](Self::unfinished).
    pub fn end_rename(&self, rename: &RecordedRename, happened: bool) -> Result<(), QuotaDbError> {
        let mut database = self.database();
        let ended = || {
            let change = database.transaction()?;
            let gone = match happened {
                true => rows::rename(&change, &rename.source, &rename.target)?,
                false => Vec::new(),
            };
            change.prepare_cached("DELETE FROM renames WHERE id = ?")?.execute([rename.id])?;
            change.commit()?;
            Ok(gone)
        };
        let gone = self.checked({ ended }())?;
        self.forget(gone);
        Ok(())
    }

    /// The recorded changes of which it is not known whether they happened. Nothing may be renamed or stored
    /// meanwhile. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn unfinished(
        &self,
    ) -> Result<(Vec<RecordedRename>, Vec<RecordedReplacement>), QuotaDbError> {
        let database = self.database();
        let read = || {
            let rename = |row: &Row<'_>| {
                let (id, source, target) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(RecordedRename {
                    id,
                    source,
                    target,
                    inode: row.get::<_, i64>(3)?.cast_unsigned(),
                })
            };
            let mut renames =
                database.prepare("SELECT id, source, target, inode FROM renames ORDER BY id")?;
            let renames = renames.query_map([], rename)?.collect::<rusqlite::Result<_>>()?;
            let replacement = |row: &Row<'_>| {
                let inode = row.get::<_, i64>(1)?.cast_unsigned();
                Ok(RecordedReplacement { path: row.get(0)?, inode })
            };
            let mut replaced = database.prepare("SELECT path, inode FROM replaced")?;
            let replaced = replaced.query_map([], replacement)?.collect::<rusqlite::Result<_>>()?;
            Ok((renames, replaced))
        };
        self.checked(read())
    }

    /// Forgets a recorded replacement. Where it has not `happened`, the older file's row is restored. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn end_replacement(&self, path: &str, happened: bool) -> Result<(), QuotaDbError> {
        let mut database = self.database();
        let mut end = || {
            let change = database.transaction()?;
            if !happened {
                restore(&change, path)?;
            }
            forget_replaced(&change, path)?;
            change.commit()
        };
        self.checked(end())
    }

    /// Adds up anew what the rows of files and folders count. Nothing may be renamed or stored meanwhile. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn recount(&self) -> Result<(), QuotaDbError> {
        let database = self.database();
        let totals = self.checked(rows::totals(&database))?;
        let mut sums = self.sums();
        let OwnerTotals { owners, .. } = &mut *sums;
        for sum in owners.values_mut() {
            sum.files = 0;
        }
        for (owner, files) in totals {
            owners.entry(owner).or_default().files = files;
        }
        owners.retain(|_, sum| sum.total() > 0);
        Ok(())
    }
}

/// Records the file that a new row's file is about to replace, and whose it is.
pub(super) fn record_replaced(
    change: &Connection,
    path: &str,
    row: Option<&(Owner, u64)>,
    inode: u64,
) -> rusqlite::Result<()> {
    let (owner, size) = row.map_or((None, 0), |(owner, size)| (Some(&*owner.0), *size));
    let values = params![path, owner, size.cast_signed(), inode.cast_signed()];
    let insert = "INSERT OR REPLACE INTO replaced VALUES (?, ?, ?, ?)";
    change.prepare_cached(insert)?.execute(values)?;
    Ok(())
}

pub(super) fn forget_replaced(change: &Connection, path: &str) -> rusqlite::Result<()> {
    change.prepare_cached("DELETE FROM replaced WHERE path = ?")?.execute([path])?;
    Ok(())
}

/// The row of the file that was not replaced; none, where it had none.
fn restore(change: &Connection, path: &str) -> rusqlite::Result<()> {
    rows::take_file(change, path)?;
    let restore = "INSERT INTO files SELECT path, owner, size FROM replaced
                   WHERE path = ? AND owner IS NOT NULL";
    change.prepare_cached(restore)?.execute([path])?;
    Ok(())
}
