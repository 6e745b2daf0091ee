//! Claims: what a running put reserves of a quota, and what becomes of that.
//!
//! A row is written before its file or folder gets the name, and removed if that fails: a crash in between leaves a
//! row without a file, which the cleanup removes, and never a file without a row.

use std::sync::Arc;

use super::{Ledger, LedgerError, Owner, Sum, intents, rows};

/// What a running put has reserved. Dropped, it is given back, and what is left of a part counts.
#[derive(Debug)]
pub struct Claim {
    ledger: Arc<Ledger>,
    owner: Owner,
    reserved: u64,
    part: Option<u64>,
    /// Whether the part has a row.
    recorded: bool,
    /// Bytes in the part that stays.
    kept: u64,
}

/// A row whose file or folder does not have its name yet. To be [confirmed](Claim::confirm) or
/// [reverted](Claim::revert).
#[derive(Debug)]
#[must_use = "a row without a file counts until the cleanup runs"]
pub struct Record {
    path: String,
    size: u64,
    /// The row that the path had before.
    previous: Option<(Owner, u64)>,
    /// Whether a file has the name now.
    replaces: bool,
}

impl Ledger {
    /// Reserves `size` bytes for a put that has a part of this number, if one that stays.
    ///
    /// # Errors
    /// [`LedgerError::Full`].
    pub fn claim(
        self: &Arc<Self>,
        owner: &Owner,
        size: u64,
        part: Option<u64>,
    ) -> Result<Claim, LedgerError> {
        let mut sums = self.sums();
        let kept = part.and_then(|id| sums.kept.get(&id).copied()).unwrap_or(0);
        let total = sums.owners.get(owner).map_or(0, Sum::total).saturating_sub(kept);
        if total.checked_add(size).is_none_or(|total| total > self.quota) {
            return Err(LedgerError::Full { quota: self.quota });
        }
        let sum = sums.owners.entry(owner.clone()).or_default();
        sum.parts = sum.parts.saturating_sub(kept);
        sum.reserved = sum.reserved.saturating_add(size);
        if let Some(id) = part {
            sums.kept.remove(&id);
            sums.running.insert(id);
        }
        let (ledger, owner, recorded) = (self.clone(), owner.clone(), kept > 0);
        Ok(Claim { ledger, owner, reserved: size, part, recorded, kept })
    }
}

impl Claim {
    /// Whose quota it is.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Reserves more, for a file whose size nobody knew.
    ///
    /// # Errors
    /// [`LedgerError::Full`].
    pub fn grow(&mut self, bytes: u64) -> Result<(), LedgerError> {
        let quota = self.ledger.quota;
        let mut sums = self.ledger.sums();
        let sum = sums.owners.entry(self.owner.clone()).or_default();
        if sum.total().checked_add(bytes).is_none_or(|total| total > quota) {
            return Err(LedgerError::Full { quota });
        }
        sum.reserved += bytes;
        self.reserved += bytes;
        Ok(())
    }

    /// Writes the row of the part, if it stays and has none yet: before the first byte is in it. Blocks.
    ///
    /// # Errors
    /// [`LedgerError::Database`].
    pub fn record_part(&mut self) -> Result<(), LedgerError> {
        if let Some(id) = self.part.filter(|_| !self.recorded) {
            let database = self.ledger.database();
            self.ledger.checked(rows::put_part(&database, id, &self.owner, self.reserved))?;
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
    /// [`LedgerError::Database`].
    pub fn without_part(mut self) -> Result<(), LedgerError> {
        self.kept = 0;
        match self.part {
            Some(id) if self.recorded => {
                let ledger = self.ledger.clone();
                let database = ledger.database();
                ledger.checked(rows::drop_part(&database, id))
            }
            _ => Ok(()),
        }
    }

    /// Writes the row of a file or folder that is about to get this path. `replaced` is the inode of the file
    /// that has it until then. The caller keeps others from changing what has the path. Blocks.
    ///
    /// # Errors
    /// [`LedgerError::Database`]: it must not get its name then.
    pub fn record(
        &self,
        path: &str,
        size: u64,
        replaced: Option<u64>,
    ) -> Result<Record, LedgerError> {
        let mut database = self.ledger.database();
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
        let previous = self.ledger.checked(write())?;
        Ok(Record { path: path.to_owned(), size, previous, replaces: replaced.is_some() })
    }

    /// The file or folder has its name: it counts instead of what was reserved, and the part is gone. Blocks.
    ///
    /// # Errors
    /// [`LedgerError::Database`]: its row is written all the same.
    pub fn confirm(&mut self, record: Record) -> Result<(), LedgerError> {
        self.kept = 0;
        let Record { path, size, previous, replaces } = record;
        self.counts(size, previous);
        let part = self.part.filter(|_| self.recorded);
        if part.is_none() && !replaces {
            return Ok(());
        }
        let mut database = self.ledger.database();
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
        self.ledger.checked(write())
    }

    /// The file or folder did not get its name: its row goes, and that of the file it was to replace comes back.
    /// Blocks.
    ///
    /// # Errors
    /// [`LedgerError::Database`]: the row stays, and counts until the cleanup runs.
    pub fn revert(&mut self, record: Record) -> Result<(), LedgerError> {
        let Record { path, size, previous, replaces } = record;
        let reverted = if replaces {
            self.ledger.end_replacement(&path, false)
        } else {
            let database = self.ledger.database();
            self.ledger.checked(rows::take_file(&database, &path).map(drop))
        };
        match &reverted {
            Ok(()) if replaces => {}
            // What the row before stood for is gone already.
            Ok(()) => self.ledger.forget(previous),
            Err(_) => self.counts(size, previous),
        }
        reverted
    }

    /// Counts the new row, and neither the previous one nor the reservation.
    fn counts(&mut self, size: u64, previous: Option<(Owner, u64)>) {
        self.ledger.forget(previous);
        let mut sums = self.ledger.sums();
        let sum = sums.owners.entry(self.owner.clone()).or_default();
        sum.files = sum.files.saturating_add(size);
        sum.reserved = sum.reserved.saturating_sub(self.reserved);
        self.reserved = 0;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut sums = self.ledger.sums();
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
