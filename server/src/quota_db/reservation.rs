//! The quota that a running upload has reserved, and the row of its file.
//!
//! A row is written before its file or folder gets the name, and removed if that fails: a crash in
//! between leaves a row without a file, which the cleanup removes, and never a file without a row.

use std::sync::Arc;

use super::{Owner, OwnerUsage, QuotaDb, QuotaDbError, intents, rows};

/// Quota that a running upload has reserved. Dropping it releases the quota; a resumable partial
/// file then counts with its length.
#[derive(Debug)]
pub struct QuotaReservation {
    quota_db: Arc<QuotaDb>,
    owner: Owner,
    reserved: u64,
    /// The id of the partial file, if it is resumable.
    resumable_id: Option<u64>,
    /// Whether the partial file has a row.
    has_partial_row: bool,
    /// Bytes in the resumable partial file.
    partial_length: u64,
}

/// A row whose file or folder does not have its name yet. To be
/// [confirmed](QuotaReservation::confirm) or [reverted](QuotaReservation::revert).
#[derive(Debug)]
#[must_use = "a row without a file counts until the cleanup runs"]
pub struct PendingRow {
    path: String,
    size: u64,
    /// The path's row before.
    previous: Option<(Owner, u64)>,
    /// Whether a file has the name now.
    is_replacement: bool,
}

impl QuotaDb {
    /// Reserves `size` bytes for an upload. `resumable_id` is the id of its partial file, if that
    /// is resumable: its bytes are part of `size`, and do not count twice.
    ///
    /// # Errors
    /// [`QuotaDbError::Full`].
    pub fn reserve(
        self: &Arc<Self>,
        owner: &Owner,
        size: u64,
        resumable_id: Option<u64>,
    ) -> Result<QuotaReservation, QuotaDbError> {
        let mut usage = self.usage();
        let partial_length =
            resumable_id.and_then(|id| usage.resumable.get(&id).copied()).unwrap_or(0);
        let total = usage.owners.get(owner).map_or(0, OwnerUsage::total);
        let total = total.saturating_sub(partial_length);
        if total.checked_add(size).is_none_or(|total| total > self.quota) {
            return Err(QuotaDbError::Full { quota: self.quota });
        }
        let owner_usage = usage.owners.entry(owner.clone()).or_default();
        owner_usage.partial_files = owner_usage.partial_files.saturating_sub(partial_length);
        owner_usage.reserved = owner_usage.reserved.saturating_add(size);
        if let Some(id) = resumable_id {
            usage.resumable.remove(&id);
            usage.running.insert(id);
        }
        Ok(QuotaReservation {
            quota_db: self.clone(),
            owner: owner.clone(),
            reserved: size,
            resumable_id,
            has_partial_row: partial_length > 0,
            partial_length,
        })
    }
}

impl QuotaReservation {
    /// The owner of the quota.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Reserves more, for a file of unknown size.
    ///
    /// # Errors
    /// [`QuotaDbError::Full`].
    pub fn grow(&mut self, bytes: u64) -> Result<(), QuotaDbError> {
        let quota = self.quota_db.quota;
        let mut usage = self.quota_db.usage();
        let owner_usage = usage.owners.entry(self.owner.clone()).or_default();
        if owner_usage.total().checked_add(bytes).is_none_or(|total| total > quota) {
            return Err(QuotaDbError::Full { quota });
        }
        owner_usage.reserved += bytes;
        self.reserved += bytes;
        Ok(())
    }

    /// Writes the row of a resumable partial file if it has none. Call it before the first byte is
    /// written to the partial file. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn record_partial_file(&mut self) -> Result<(), QuotaDbError> {
        if let Some(id) = self.resumable_id.filter(|_| !self.has_partial_row) {
            let database = self.quota_db.database();
            let written = rows::upsert_partial_file(&database, id, &self.owner, self.reserved);
            self.quota_db.map_error(written)?;
            self.has_partial_row = true;
        }
        Ok(())
    }

    /// Sets the length of the partial file; ignored unless it is resumable.
    pub fn set_partial_length(&mut self, bytes: u64) {
        if self.resumable_id.is_some() {
            self.partial_length = bytes;
        }
    }

    /// Releases the quota and deletes the row of the partial file, which is removed. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn drop_partial_file(mut self) -> Result<(), QuotaDbError> {
        self.partial_length = 0;
        match self.resumable_id {
            Some(id) if self.has_partial_row => {
                let quota_db = self.quota_db.clone();
                let database = quota_db.database();
                quota_db.map_error(rows::delete_partial_file(&database, id))
            }
            _ => Ok(()),
        }
    }

    /// Writes the row of a file or folder that is about to get this path. `replaced` is the inode
    /// of the file that has the path until then. The caller holds the path's lock. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`]: the file or folder must not get its name then.
    pub fn write_row(
        &self,
        path: &str,
        size: u64,
        replaced: Option<u64>,
    ) -> Result<PendingRow, QuotaDbError> {
        let mut database = self.quota_db.database();
        let mut write = || {
            let transaction = database.transaction()?;
            let previous = rows::find_file(&transaction, path)?;
            if let Some(inode) = replaced {
                intents::record_replacement(&transaction, path, previous.as_ref(), inode)?;
            }
            rows::upsert_file(&transaction, path, &self.owner, size)?;
            transaction.commit()?;
            Ok(previous)
        };
        let previous = self.quota_db.map_error(write())?;
        let is_replacement = replaced.is_some();
        Ok(PendingRow { path: path.to_owned(), size, previous, is_replacement })
    }

    /// Confirms a row whose file or folder has its name: it counts instead of the reservation and
    /// the partial file. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`]: the row stays all the same.
    pub fn confirm(&mut self, row: PendingRow) -> Result<(), QuotaDbError> {
        self.partial_length = 0;
        let PendingRow { path, size, previous, is_replacement } = row;
        self.count_row(size, previous);
        let partial_row = self.resumable_id.filter(|_| self.has_partial_row);
        if partial_row.is_none() && !is_replacement {
            return Ok(());
        }
        let mut database = self.quota_db.database();
        let mut write = || {
            let transaction = database.transaction()?;
            if let Some(id) = partial_row {
                rows::delete_partial_file(&transaction, id)?;
            }
            if is_replacement {
                intents::delete_replacement(&transaction, &path)?;
            }
            transaction.commit()
        };
        self.quota_db.map_error(write())
    }

    /// Removes a row whose file or folder did not get its name, and restores the row of the file
    /// that it was to replace. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`]: the row stays, and counts until the cleanup runs.
    pub fn revert(&mut self, row: PendingRow) -> Result<(), QuotaDbError> {
        let PendingRow { path, size, previous, is_replacement } = row;
        let reverted = if is_replacement {
            self.quota_db.settle_replacement(&path, false)
        } else {
            let database = self.quota_db.database();
            self.quota_db.map_error(rows::delete_file(&database, &path).map(drop))
        };
        match &reverted {
            Ok(()) if is_replacement => {}
            // No file had the name, so the previous row was one of a file that is missing already.
            Ok(()) => self.quota_db.subtract_files(previous),
            Err(_) => self.count_row(size, previous),
        }
        reverted
    }

    /// Counts the new row instead of the previous one and the reservation.
    fn count_row(&mut self, size: u64, previous: Option<(Owner, u64)>) {
        self.quota_db.subtract_files(previous);
        let mut usage = self.quota_db.usage();
        let owner_usage = usage.owners.entry(self.owner.clone()).or_default();
        owner_usage.files = owner_usage.files.saturating_add(size);
        owner_usage.reserved = owner_usage.reserved.saturating_sub(self.reserved);
        self.reserved = 0;
    }
}

impl Drop for QuotaReservation {
    fn drop(&mut self) {
        let mut usage = self.quota_db.usage();
        if let Some(id) = self.resumable_id {
            usage.running.remove(&id);
            if self.partial_length > 0 {
                usage.resumable.insert(id, self.partial_length);
            }
        }
        if let Some(owner_usage) = usage.owners.get_mut(&self.owner) {
            owner_usage.reserved = owner_usage.reserved.saturating_sub(self.reserved);
            owner_usage.partial_files =
                owner_usage.partial_files.saturating_add(self.partial_length);
            if owner_usage.total() == 0 {
                usage.owners.remove(&self.owner);
            }
        }
    }
}
