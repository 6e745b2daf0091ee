//! Claims: what a running put reserves of a quota, and what becomes of that.

use std::sync::Arc;

use super::{Ledger, LedgerError, Owner, Sum, rows};

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

    /// So many bytes are in the part, if it stays. The first of them are worth a row. Blocks.
    ///
    /// # Errors
    /// [`LedgerError::Database`].
    pub fn holds(&mut self, bytes: u64) -> Result<(), LedgerError> {
        let Some(id) = self.part else { return Ok(()) };
        self.kept = bytes;
        if !self.recorded {
            let database = self.ledger.database();
            self.ledger.checked(rows::put_part(&database, id, &self.owner, self.reserved))?;
            self.recorded = true;
        }
        Ok(())
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

    /// The file stands under this path, with as many bytes. Blocks.
    ///
    /// # Errors
    /// [`LedgerError::Database`].
    pub fn settle(mut self, path: &str, size: u64) -> Result<(), LedgerError> {
        self.kept = 0;
        let part = self.part.filter(|_| self.recorded);
        let ledger = self.ledger.clone();
        let mut database = ledger.database();
        let gone = ledger.checked(rows::settle(&mut database, path, &self.owner, size, part))?;
        ledger.forget(gone);
        let mut sums = ledger.sums();
        let sum = sums.owners.entry(self.owner.clone()).or_default();
        sum.files = sum.files.saturating_add(size);
        Ok(())
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
