//! The rows of missing files: they are kept for a while with their owners, and restored if the
//! files exist again.

use std::time::SystemTime;

use super::{QuotaDb, QuotaDbError, rows};

impl QuotaDb {
    /// Up to `limit` missing files whose paths sort after this one, with the sizes that they
    /// counted. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn missing_after(
        &self,
        path: &str,
        limit: u32,
    ) -> Result<Vec<(String, u64)>, QuotaDbError> {
        let database = self.database();
        self.map_error(rows::missing_after(&database, path, limit))
    }

    /// Restores the row of a missing file that exists again, unless its path has a new row by now.
    /// Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn restore_missing(&self, path: &str) -> Result<(), QuotaDbError> {
        let mut database = self.database();
        if let Some((owner, size)) = self.map_error(rows::restore_missing(&mut database, path))? {
            let mut usage = self.usage();
            let owner_usage = usage.owners.entry(owner).or_default();
            owner_usage.files = owner_usage.files.saturating_add(size);
        }
        Ok(())
    }

    /// Deletes the rows of files that are missing since before this time. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn forget_missing(&self, before: SystemTime) -> Result<(), QuotaDbError> {
        let database = self.database();
        self.map_error(rows::forget_missing(&database, unix_seconds(before)))
    }
}

/// Seconds since 1970; 0 for an earlier time.
pub(super) fn unix_seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
