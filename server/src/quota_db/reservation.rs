//! What a running upload reserves of a quota, and what becomes of that.
//!
//! A row is written before its file or folder gets the name, and removed if that fails: a crash in between leaves a
//! row without a file, which the cleanup removes, and never a file without a row.

use std::sync::Arc;

use super::{Owner, QuotaDb, QuotaDbError, Sum, intents, rows};

/// What a running put has reserved. Dropped, it is given back, and what is left of a part counts.
#[derive(Debug)]
pub struct QuotaReservation {
    quota_db: Arc<QuotaDb>,
    owner: Owner,
    reserved: u64,
    part: Option<u64>,
    /// Whether the part has a row.
    recorded: bool,
    /// Bytes in the part that stays.
    kept: u64,
}

/// A row whose file or folder does not have its name yet. To be [confirmed](QuotaReservation::confirm) or
/// [reverted](QuotaReservation::revert).
#[derive(Debug)]
#[must_use = "a row without a file counts until the cleanup runs"]
pub struct PendingRow {
    path: String,
    size: u64,
    /// The row that the path had before.
    previous: Option<(Owner, u64)>,
    /// Whether a file has the name now.
    replaces: bool,
}

impl QuotaDb {
    /// Reserves `size` bytes for a put that has a part of this number, if one that stays.
    ///
    /// # Errors
    /// [`QuotaDbError::Full`].
    pub fn reserve(
        self: &Arc<Self>,
        owner: &Owner,
        size: u64,
        part: Option<u64>,
    ) -> Result<QuotaReservation, QuotaDbError> {
        let mut sums = self.sums();
        let kept = part.and_then(|id| sums.kept.get(&id).copied()).unwrap_or(0);
        let total = sums.owners.get(owner).map_or(0, Sum::total).saturating_sub(kept);
        if total.checked_add(size).is_none_or(|total| total > self.quota) {
            return Err(QuotaDbError::Full { quota: self.quota });
        }
        let sum = sums.owners.entry(owner.clone()).or_default();
        sum.parts = sum.parts.saturating_sub(kept);
        sum.reserved = sum.reserved.saturating_add(size);
        if let Some(id) = part {
            sums.kept.remove(&id);
            sums.running.insert(id);
        }
        let (quota_db, owner, recorded) = (self.clone(), owner.clone(), kept > 0);
        Ok(QuotaReservation { quota_db, owner, reserved: size, part, recorded, kept })
    }
}

impl QuotaReservation {
    /// Whose quota it is.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Reserves more, for a file whose size nobody knew.
    ///
    /// # Errors
    /// [`QuotaDbError::Full`].
    pub fn grow(&mut self, bytes: u64) -> Result<(), QuotaDbError> {
        let quota = self.quota_db.quota;
        let mut sums = self.quota_db.sums();
        let sum = sums.owners.entry(self.owner.clone()).or_default();
        if sum.total().checked_add(bytes).is_none_or(|total| total > quota) {
            return Err(QuotaDbError::Full { quota });
        }
        sum.reserved += bytes;
        self.reserved += bytes;
        Ok(())
    }

    /// Writes the row of the part, if it stays and has none yet: before the first byte is in it. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn record_part(&mut self) -> Result<(), QuotaDbError> {
        if let Some(id) = self.part.filter(|_| !self.recorded) {
            let database = self.quota_db.database();
            self.quota_db.checked(rows::put_part(&database, id, &self.owner, self.reserved))?;
            self.recorded = true;
        }
        Ok(())
    }

    /// So many bytes are in the part, if it stays.
    pub fn holds(&mut self, bytes: u64) {
        if self.part.is_some() {
            self.kept = bytes;
        }
    }

    /// The part is gone. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn without_part(mut self) -> Result<(), QuotaDbError> {
        self.kept = 0;
        match self.part {
            Some(id) if self.recorded => {
                let quota_db = self.quota_db.clone();
                let database = quota_db.database();
                quota_db.checked(rows::drop_part(&database, id))
            }
            _ => Ok(()),
        }
    }

    /// Writes the row of a file or folder that is about to get this path. `replaced` is the inode of the file
    /// that has it until then. The caller keeps others from changing what has the path. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`]: it must not get its name then.
    pub fn record(
        &self,
        path: &str,
        size: u64,
        replaced: Option<u64>,
    ) -> Result<PendingRow, QuotaDbError> {
        let mut database = self.quota_db.database();
        let mut write = || {
            let change = database.transaction()?;
            let previous = rows::file(&change, path)?;
            if let Some(inode) = replaced {
                intents::record_replaced(&change, path, previous.as_ref(), inode)?;
            }
            rows::put_file(&change, path, &self.owner, size)?;
            change.commit()?;
            Ok(previous)
        };
        let previous = self.quota_db.checked(write())?;
        Ok(PendingRow { path: path.to_owned(), size, previous, replaces: replaced.is_some() })
    }

    /// The file or folder has its name: it counts instead of what was reserved, and the part is gone. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`]: its row is written all the same.
    pub fn confirm(&mut self, record: PendingRow) -> Result<(), QuotaDbError> {
        self.kept = 0;
        let PendingRow { path, size, previous, replaces } = record;
        self.counts(size, previous);
        let part = self.part.filter(|_| self.recorded);
        if part.is_none() && !replaces {
            return Ok(());
        }
        let mut database = self.quota_db.database();
        let mut write = || {
            let change = database.transaction()?;
            if let Some(id) = part {
                rows::drop_part(&change, id)?;
            }
            if replaces {
                intents::forget_replaced(&change, &path)?;
            }
            change.commit()
        };
        self.quota_db.checked(write())
    }

    /// The file or folder did not get its name: its row goes, and that of the file it was to replace comes back.
    /// Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`]: the row stays, and counts until the cleanup runs.
    pub fn revert(&mut self, record: PendingRow) -> Result<(), QuotaDbError> {
        let PendingRow { path, size, previous, replaces } = record;
        let reverted = if replaces {
            self.quota_db.end_replacement(&path, false)
        } else {
            let database = self.quota_db.database();
            self.quota_db.checked(rows::take_file(&database, &path).map(drop))
        };
        match &reverted {
            Ok(()) if replaces => {}
            // What the row before stood for is gone already.
            Ok(()) => self.quota_db.forget(previous),
            Err(_) => self.counts(size, previous),
        }
        reverted
    }

    /// Counts the new row, and neither the previous one nor the reservation.
    fn counts(&mut self, size: u64, previous: Option<(Owner, u64)>) {
        self.quota_db.forget(previous);
        let mut sums = self.quota_db.sums();
        let sum = sums.owners.entry(self.owner.clone()).or_default();
        sum.files = sum.files.saturating_add(size);
        sum.reserved = sum.reserved.saturating_sub(self.reserved);
        self.reserved = 0;
    }
}

impl Drop for QuotaReservation {
    fn drop(&mut self) {
        let mut sums = self.quota_db.sums();
        if let Some(id) = self.part {
            sums.running.remove(&id);
            if self.kept > 0 {
                sums.kept.insert(id, self.kept);
            }
        }
        if let Some(sum) = sums.owners.get_mut(&self.owner) {
            sum.reserved = sum.reserved.saturating_sub(self.reserved);
            sum.parts = sum.parts.saturating_add(self.kept);
            if sum.total() == 0 {
                sums.owners.remove(&self.owner);
            }
        }
    }
}
