//! Files that are missing, and whose they were: their rows come back with them.

use std::time::SystemTime;

use super::{QuotaDb, QuotaDbError, rows};

impl QuotaDb {
    /// Up to `most` files that were missing whose paths come after this one, with the sizes that were counted.
    /// Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn missing_after(&self, path: &str, most: u32) -> Result<Vec<(String, u64)>, QuotaDbError> {
        let database = self.database();
        self.checked(rows::missing_after(&database, path, most))
    }

    /// A file that was missing is there again, and counts for its owner unless it has another by now. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn is_back(&self, path: &str) -> Result<(), QuotaDbError> {
        let mut database = self.database();
        if let Some((owner, size)) = self.checked(rows::bring_back(&mut database, path))? {
            let mut sums = self.sums();
            let sum = sums.owners.entry(owner).or_default();
            sum.files = sum.files.saturating_add(size);
        }
        Ok(())
    }

    /// Forgets the owners of files that are missing since before this time. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn forget_missing(&self, before: SystemTime) -> Result<(), QuotaDbError> {
        let database = self.database();
        self.checked(rows::forget_missing(&database, seconds(before)))
    }
}

/// Of the Unix time.
pub(super) fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
