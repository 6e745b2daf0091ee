//! Who stored what: quotas that survive a restart. A small database in the state folder, and sums of
//! it in memory. Knows names and sizes of files, not their bytes, and nothing of who is connected.
//!
//! A row is a path and what it counts: of a file its size, of a folder [`FOLDER_SIZE`]. It is written before
//! the file or folder gets its name ([`QuotaReservation::record`]), so that nothing is ever stored without one. The
//! cleanup corrects rows of files that others changed ([`QuotaDb::found`], [`QuotaDb::found_parts`]).

mod intents;
mod missing;
mod reservation;
mod rows;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::text::display_path;
use quiver_protocol::{ClientName, Fingerprint};
use rusqlite::Connection;
use thiserror::Error;

use crate::unix;
pub use intents::{RecordedRename, RecordedReplacement};
pub use reservation::{PendingRow, QuotaReservation};

/// What a folder that a client made counts against its quota: one block of a disk.
pub const FOLDER_SIZE: u64 = 4096;

/// The database in the state folder.
const FILE: &str = "uploads.sqlite";

/// Whose a file is: whose quota it counts against.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(Arc<str>);

/// The rows of stored files and kept parts.
pub struct QuotaDb {
    path: PathBuf,
    /// Bytes each owner may have stored; `u64::MAX` where there is no limit.
    quota: u64,
    key: [u8; 32],
    /// Held for a transaction. Taken before `sums`, never after.
    database: Mutex<Connection>,
    /// Held for some additions: also where nothing may wait for a disk.
    sums: Mutex<OwnerTotals>,
}

/// What broken off uploads have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeptUploads {
    /// Parts.
    pub parts: usize,
    /// Their bytes.
    pub bytes: u64,
}

#[derive(Debug, Default)]
struct OwnerTotals {
    owners: HashMap<Owner, Sum>,
    /// Bytes in the parts that wait for their next attempt.
    kept: HashMap<u64, u64>,
    /// Parts that a put has now: they count as what it reserved.
    running: HashSet<u64>,
}

/// Bytes of one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sum {
    files: u64,
    parts: u64,
    reserved: u64,
}

/// Why the quota database did not do it.
#[derive(Debug, Error)]
pub enum QuotaDbError {
    /// It would be more than the owner may have.
    #[error("the quota of {quota} bytes is used up")]
    Full {
        /// In bytes.
        quota: u64,
    },
    /// The folder or the database cannot be made or opened.
    #[error("cannot use {}: {error}", display_path(path))]
    Open {
        /// What cannot be used.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The database failed.
    #[error("{}: {error}", display_path(path))]
    Database {
        /// The database.
        path: PathBuf,
        /// What it said.
        error: rusqlite::Error,
    },
    /// Another version has written it.
    #[error("{} was written by another version of this program", display_path(path))]
    Version {
        /// The database.
        path: PathBuf,
    },
}

impl Owner {
    /// An account of the password file.
    #[must_use]
    pub fn account(name: &ClientName) -> Self {
        Self(format!("account {}", name.key()).into())
    }

    /// Whoever holds a key.
    #[must_use]
    pub fn key(fingerprint: Fingerprint) -> Self {
        Self(format!("key {fingerprint}").into())
    }

    /// All those together who cannot be told apart.
    #[must_use]
    pub fn nobody() -> Self {
        Self("nobody".into())
    }

    /// Whether it can be known again.
    #[must_use]
    pub fn is_somebody(&self) -> bool {
        &*self.0 != "nobody"
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl QuotaDb {
    /// Opens the quota database in the state folder; both are made where absent, for this user alone. Nobody
    /// else has it then. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError`].
    pub fn open(folder: &Path, quota: Option<u64>) -> Result<Self, QuotaDbError> {
        let path = folder.join(FILE);
        let failed = |error| QuotaDbError::Open { path: path.clone(), error };
        unix::make_private_folder(folder)
            .map_err(|error| QuotaDbError::Open { path: folder.to_owned(), error })?;
        unix::ensure_private_file(&path).map_err(failed)?;
        let database = |error| QuotaDbError::Database { path: path.clone(), error };
        let mut connection = Connection::open(&path).map_err(database)?;
        let version = rows::prepare(&mut connection).map_err(database)?;
        if version != rows::SCHEMA {
            return Err(QuotaDbError::Version { path });
        }
        let key = rows::key(&connection).map_err(database)?;
        let sums = rows::sums(&connection).map_err(database)?;
        let quota = quota.unwrap_or(u64::MAX);
        let (database, sums) = (Mutex::new(connection), Mutex::new(sums));
        Ok(Self { path, quota, key, database, sums })
    }

    /// The number that names the part of an owner's put to a path: nobody without the state folder can
    /// tell which part is whose.
    #[must_use]
    pub fn part_id(&self, owner: &Owner, path: &str) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // No owner has a line feed in its name.
        hasher.update(owner.0.as_bytes()).update(b"\n").update(path.as_bytes());
        let mut id = [0; 8];
        hasher.finalize_xof().fill(&mut id);
        u64::from_be_bytes(id)
    }

    /// Bytes an owner may still store.
    #[must_use]
    pub fn available(&self, owner: &Owner) -> u64 {
        let sums = self.sums();
        self.quota.saturating_sub(sums.owners.get(owner).map_or(0, Sum::total))
    }

    /// A number for a part that no later put resumes, recognised by [`is_temporary`](Self::is_temporary).
    #[must_use]
    pub fn temporary_part_id(&self) -> u64 {
        let random = RandomState::new().hash_one(()) as u32;
        u64::from(random) << 32 | u64::from(self.mark(random))
    }

    /// Whether a part's number is from [`temporary_part_id`](Self::temporary_part_id), of this or an earlier process:
    /// the part is useless once its put has ended.
    #[must_use]
    pub fn is_temporary(&self, id: u64) -> bool {
        self.mark((id >> 32) as u32) == id as u32
    }

    fn mark(&self, random: u32) -> u32 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // No owner is called so: it is the number of no put's part.
        hasher.update(b"temporary\n").update(&random.to_be_bytes());
        let mut mark = [0; 4];
        hasher.finalize_xof().fill(&mut mark);
        u32::from_be_bytes(mark)
    }

    /// A file, or a folder and all that was in it, is gone. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn removed(&self, path: &str) -> Result<(), QuotaDbError> {
        let mut database = self.database();
        let mut remove = || {
            let change = database.transaction()?;
            let gone = rows::take_tree(&change, path)?;
            change.commit()?;
            Ok(gone)
        };
        let gone = self.checked(remove())?;
        self.forget(gone);
        Ok(())
    }

    /// Up to `most` files whose paths come after this one, with the sizes that are counted. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn files_after(&self, path: &str, most: u32) -> Result<Vec<(String, u64)>, QuotaDbError> {
        let database = self.database();
        self.checked(rows::files_after(&database, path, most))
    }

    /// A file that was counted with `counted` bytes has `size` now, or is missing since `now`. Nothing happens where
    /// the row has changed meanwhile. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn found(
        &self,
        path: &str,
        counted: u64,
        size: Option<u64>,
        now: SystemTime,
    ) -> Result<(), QuotaDbError> {
        let mut database = self.database();
        let row = self.checked(rows::file(&database, path))?;
        let Some((owner, old)) = row.filter(|(_, old)| *old == counted) else { return Ok(()) };
        let changed = match size {
            None => rows::set_aside(&mut database, path, missing::seconds(now)).map(drop),
            Some(size) => rows::put_file(&database, path, &owner, size),
        };
        self.checked(changed)?;
        let mut sums = self.sums();
        let sum = sums.owners.entry(owner).or_default();
        sum.files = sum.files.saturating_sub(old).saturating_add(size.unwrap_or(0));
        Ok(())
    }

    /// How much waits for a next attempt.
    #[must_use]
    pub fn kept(&self) -> KeptUploads {
        let kept = &self.sums().kept;
        KeptUploads {
            parts: kept.len(),
            bytes: kept.values().copied().fold(0, u64::saturating_add),
        }
    }

    /// The parts that wait for their next attempt now.
    #[must_use]
    pub fn waiting_parts(&self) -> HashSet<u64> {
        self.sums().kept.keys().copied().collect()
    }

    /// Whether a part waits for its next attempt.
    #[must_use]
    pub fn is_waiting(&self, id: u64) -> bool {
        self.sums().kept.contains_key(&id)
    }

    /// An owner's part that waited is gone. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn removed_part(&self, id: u64, owner: &Owner) -> Result<(), QuotaDbError> {
        let database = self.database();
        self.checked(rows::drop_part(&database, id))?;
        let mut sums = self.sums();
        if let Some(size) = sums.kept.remove(&id)
            && let Some(sum) = sums.owners.get_mut(owner)
        {
            sum.parts = sum.parts.saturating_sub(size);
        }
        Ok(())
    }

    /// Of the parts that were `waiting` when somebody went to look, these were found, with their sizes.
    /// Those that puts have now, and those that came to wait meanwhile, are left alone. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn found_parts(
        &self,
        waiting: &HashSet<u64>,
        found: &HashMap<u64, u64>,
    ) -> Result<(), QuotaDbError> {
        let mut database = self.database();
        let mut sums = self.sums();
        let OwnerTotals { running, kept, .. } = &*sums;
        // Its size now, or nothing where it is gone.
        let size = |id: u64| match (found.get(&id), kept.get(&id)) {
            (None, Some(_)) if waiting.contains(&id) => None,
            (Some(&size), _) | (None, Some(&size)) => Some(size),
            (None, None) => None,
        };
        let mended = rows::mend_parts(&mut database, |id| running.contains(&id), size);
        let parts = self.checked(mended)?;
        sums.set_parts(parts);
        sums.owners.retain(|_, sum| sum.total() > 0);
        Ok(())
    }

    fn forget(&self, gone: impl IntoIterator<Item = (Owner, u64)>) {
        for (owner, size) in gone {
            if let Some(sum) = self.sums().owners.get_mut(&owner) {
                sum.files = sum.files.saturating_sub(size);
            }
        }
    }

    fn checked<T>(&self, result: rusqlite::Result<T>) -> Result<T, QuotaDbError> {
        result.map_err(|error| QuotaDbError::Database { path: self.path.clone(), error })
    }

    fn database(&self) -> MutexGuard<'_, Connection> {
        self.database.lock()
    }

    fn sums(&self) -> MutexGuard<'_, OwnerTotals> {
        self.sums.lock()
    }
}

impl QuotaDbError {
    /// Whether the database's disk is full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        let Self::Database { error, .. } = self else { return false };
        error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
    }
}

impl fmt::Debug for QuotaDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuotaDb").field("path", &self.path).finish_non_exhaustive()
    }
}

impl OwnerTotals {
    fn set_parts(&mut self, parts: Vec<(u64, Owner, u64)>) {
        self.kept.clear();
        for sum in self.owners.values_mut() {
            sum.parts = 0;
        }
        for (id, owner, size) in parts {
            self.kept.insert(id, size);
            let sum = self.owners.entry(owner).or_default();
            sum.parts = sum.parts.saturating_add(size);
        }
    }
}

impl Sum {
    fn total(&self) -> u64 {
        self.files.saturating_add(self.parts).saturating_add(self.reserved)
    }
}

#[cfg(test)]
mod tests;
