//! Renames and replacements, recorded before the file system changes a name: a crash between the
//! two loses no row. At the next start the inode that has the name tells whether the change was
//! made. Knows inode numbers, not how to look them up.

use rusqlite::{Connection, Row, params};

use super::{Owner, QuotaDb, QuotaDbError, QuotaUsage, rows};

/// A recorded rename, which may or may not have been made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRename {
    id: i64,
    /// The old path.
    pub source: String,
    /// The new path.
    pub target: String,
    /// The inode of the renamed file or folder.
    pub inode: u64,
}

/// A file that was about to be replaced when its new row was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedReplacement {
    /// The path of both files.
    pub path: String,
    /// The inode of the old file.
    pub inode: u64,
}

impl QuotaDb {
    /// Records that a file or folder is about to be renamed. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`]: it must not be renamed then.
    pub fn record_rename(
        &self,
        source: &str,
        target: &str,
        inode: u64,
    ) -> Result<RecordedRename, QuotaDbError> {
        let database = self.database();
        let insert = "INSERT INTO renames (source, target, inode) VALUES (?, ?, ?)";
        let insert = database.prepare_cached(insert);
        let values = params![source, target, inode.cast_signed()];
        let id = self.map_error(insert.and_then(|mut insert| insert.insert(values)))?;
        Ok(RecordedRename { id, source: source.to_owned(), target: target.to_owned(), inode })
    }

    /// Deletes the record of a rename. If it `is_done`, the rows below the old path move to the new
    /// one, and replace the rows below that; else all rows stay. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`]: the record stays, and
    /// [`unsettled_changes`](Self::unsettled_changes) returns it.
    pub fn settle_rename(
        &self,
        rename: &RecordedRename,
        is_done: bool,
    ) -> Result<(), QuotaDbError> {
        let mut database = self.database();
        let settle = || {
            let transaction = database.transaction()?;
            let removed = match is_done {
                true => rows::rename(&transaction, &rename.source, &rename.target)?,
                false => Vec::new(),
            };
            transaction.prepare_cached("DELETE FROM renames WHERE id = ?")?.execute([rename.id])?;
            transaction.commit()?;
            Ok(removed)
        };
        let removed = self.map_error({ settle }())?;
        self.subtract_files(removed);
        Ok(())
    }

    /// The recorded changes that are not settled. Nothing may be renamed or stored meanwhile.
    /// Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn unsettled_changes(
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
            let mut replacements = database.prepare("SELECT path, inode FROM replaced")?;
            let replacements =
                replacements.query_map([], replacement)?.collect::<rusqlite::Result<_>>()?;
            Ok((renames, replacements))
        };
        self.map_error(read())
    }

    /// Deletes the record of a replacement. If it is not `is_done`, the old file's row is restored.
    /// Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn settle_replacement(&self, path: &str, is_done: bool) -> Result<(), QuotaDbError> {
        let mut database = self.database();
        let mut settle = || {
            let transaction = database.transaction()?;
            if !is_done {
                restore_replaced(&transaction, path)?;
            }
            delete_replacement(&transaction, path)?;
            transaction.commit()
        };
        self.map_error(settle())
    }

    /// Recomputes each owner's total of files and folders from the rows. Nothing may be renamed or
    /// stored meanwhile. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn recount(&self) -> Result<(), QuotaDbError> {
        let database = self.database();
        let totals = self.map_error(rows::file_totals(&database))?;
        let mut usage = self.usage();
        let QuotaUsage { owners, .. } = &mut *usage;
        for owner_usage in owners.values_mut() {
            owner_usage.files = 0;
        }
        for (owner, files) in totals {
            owners.entry(owner).or_default().files = files;
        }
        owners.retain(|_, owner_usage| owner_usage.total() > 0);
        Ok(())
    }
}

/// Records the file that is about to be replaced, with its old row if it has one.
pub(super) fn record_replacement(
    transaction: &Connection,
    path: &str,
    row: Option<&(Owner, u64)>,
    inode: u64,
) -> rusqlite::Result<()> {
    let (owner, size) = row.map_or((None, 0), |(owner, size)| (Some(&*owner.0), *size));
    let values = params![path, owner, size.cast_signed(), inode.cast_signed()];
    let insert = "INSERT OR REPLACE INTO replaced VALUES (?, ?, ?, ?)";
    transaction.prepare_cached(insert)?.execute(values)?;
    Ok(())
}

pub(super) fn delete_replacement(transaction: &Connection, path: &str) -> rusqlite::Result<()> {
    transaction.prepare_cached("DELETE FROM replaced WHERE path = ?")?.execute([path])?;
    Ok(())
}

/// Restores the row of the file that was not replaced, if it had one.
fn restore_replaced(transaction: &Connection, path: &str) -> rusqlite::Result<()> {
    rows::delete_file(transaction, path)?;
    let restore = "INSERT INTO files SELECT path, owner, size FROM replaced
                   WHERE path = ? AND owner IS NOT NULL";
    transaction.prepare_cached(restore)?.execute([path])?;
    Ok(())
}
