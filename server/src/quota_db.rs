//! Who stored which files: the rows behind quotas, which survive a restart, in a small SQLite
//! database in the state folder, with totals in memory. Knows names and sizes of files, not their
//! content, and no connections.
//!
//! A row is a path and the bytes that it counts: a file's size, or [`FOLDER_SIZE`] for a folder. It
//! is written before the file or folder gets its name ([`QuotaReservation::write_row`]), so that
//! nothing is ever stored without a row. The cleanup corrects the rows of files that other programs
//! changed ([`QuotaDb::correct_file`], [`QuotaDb::correct_partial_files`]).

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
use quiver_protocol::{ClientName, Fingerprint, units};
use rusqlite::Connection;
use thiserror::Error;

use crate::unix;
pub use intents::{RecordedRename, RecordedReplacement};
pub use reservation::{PendingRow, QuotaReservation};

/// Bytes that a folder counts against its owner's quota: one block of a disk.
pub const FOLDER_SIZE: u64 = 4096;

/// The database's file in the state folder.
const FILE: &str = "uploads.sqlite";

/// The owner of a file: whose quota it counts against.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(Arc<str>);

/// The rows of stored files and partial files.
pub struct QuotaDb {
    path: PathBuf,
    /// Bytes that each owner may have stored; `u64::MAX` without a limit.
    quota: u64,
    key: [u8; 32],
    /// Locked for a transaction. Taken before `usage`, never after.
    database: Mutex<Connection>,
    /// Locked for a few additions only, so that threads that must not wait for a disk can lock it.
    usage: Mutex<QuotaUsage>,
}

/// The partial files that interrupted uploads have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResumableUploads {
    /// Number of partial files.
    pub count: usize,
    /// Bytes in them.
    pub bytes: u64,
}

#[derive(Debug, Default)]
struct QuotaUsage {
    owners: HashMap<Owner, OwnerUsage>,
    /// Bytes in each partial file that no running upload has.
    resumable: HashMap<u64, u64>,
    /// Partial files that running uploads have: they count as the reserved bytes.
    running: HashSet<u64>,
}

/// Bytes of one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct OwnerUsage {
    files: u64,
    partial_files: u64,
    reserved: u64,
}

/// Why an operation of the quota database failed.
#[derive(Debug, Error)]
pub enum QuotaDbError {
    /// The owner's quota does not have enough space.
    #[error("the quota of {} is used up", units::bytes(*quota))]
    Full {
        /// In bytes.
        quota: u64,
    },
    /// The folder or the database cannot be created or opened.
    #[error("cannot use {}: {error}", display_path(path))]
    Open {
        /// The folder or the database.
        path: PathBuf,
        /// The error of the system call.
        error: io::Error,
    },
    /// The database failed.
    #[error("{}: {error}", display_path(path))]
    Database {
        /// The database.
        path: PathBuf,
        /// Its error.
        error: rusqlite::Error,
    },
    /// Another version has written the database.
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

    /// The client with this key.
    #[must_use]
    pub fn key(fingerprint: Fingerprint) -> Self {
        Self(format!("key {fingerprint}").into())
    }

    /// All clients without an account or a key together, because the server cannot tell them apart.
    /// Stored as `nobody`.
    #[must_use]
    pub fn anonymous() -> Self {
        Self("nobody".into())
    }

    /// Whether the server recognises this owner on a later connection.
    #[must_use]
    pub fn is_identified(&self) -> bool {
        &*self.0 != "nobody"
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl QuotaDb {
    /// Opens the quota database in the state folder, and locks it against other processes. Creates
    /// both if they are missing, for this user alone. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError`].
    pub fn open(folder: &Path, quota: Option<u64>) -> Result<Self, QuotaDbError> {
        let path = folder.join(FILE);
        let failed = |error| QuotaDbError::Open { path: path.clone(), error };
        unix::create_private_folder(folder)
            .map_err(|error| QuotaDbError::Open { path: folder.to_owned(), error })?;
        unix::ensure_private_file(&path).map_err(failed)?;
        let database = |error| QuotaDbError::Database { path: path.clone(), error };
        let mut connection = Connection::open(&path).map_err(database)?;
        let version = rows::migrate(&mut connection).map_err(database)?;
        if version != rows::SCHEMA_VERSION {
            return Err(QuotaDbError::Version { path });
        }
        let key = rows::key(&connection).map_err(database)?;
        let usage = rows::load_usage(&connection).map_err(database)?;
        let quota = quota.unwrap_or(u64::MAX);
        let (database, usage) = (Mutex::new(connection), Mutex::new(usage));
        Ok(Self { path, quota, key, database, usage })
    }

    /// The id of the resumable partial file of an owner's upload to a path. It is a keyed hash, so
    /// that the name of a partial file does not reveal its owner without the state folder.
    #[must_use]
    pub fn partial_file_id(&self, owner: &Owner, path: &str) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // No owner contains a line feed.
        hasher.update(owner.0.as_bytes()).update(b"\n").update(path.as_bytes());
        let mut id = [0; 8];
        hasher.finalize_xof().fill(&mut id);
        u64::from_be_bytes(id)
    }

    /// Bytes that an owner may still store.
    #[must_use]
    pub fn available(&self, owner: &Owner) -> u64 {
        let usage = self.usage();
        self.quota.saturating_sub(usage.owners.get(owner).map_or(0, OwnerUsage::total))
    }

    /// A new id for a partial file that no later upload resumes;
    /// [`is_temporary`](Self::is_temporary) recognises it.
    #[must_use]
    pub fn new_temporary_id(&self) -> u64 {
        let random = RandomState::new().hash_one(()) as u32;
        u64::from(random) << 32 | u64::from(self.temporary_mark(random))
    }

    /// Whether a partial file's id is from [`new_temporary_id`](Self::new_temporary_id), of this or
    /// an earlier process: the partial file is useless once its upload has ended.
    #[must_use]
    pub fn is_temporary(&self, id: u64) -> bool {
        self.temporary_mark((id >> 32) as u32) == id as u32
    }

    fn temporary_mark(&self, random: u32) -> u32 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // No owner is called "temporary", so this hashes to the id of no resumable partial file.
        hasher.update(b"temporary\n").update(&random.to_be_bytes());
        let mut mark = [0; 4];
        hasher.finalize_xof().fill(&mut mark);
        u32::from_be_bytes(mark)
    }

    /// Removes the rows of a file, or of a folder and everything below it. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn remove_path(&self, path: &str) -> Result<(), QuotaDbError> {
        let mut database = self.database();
        let mut remove = || {
            let transaction = database.transaction()?;
            let removed = rows::delete_tree(&transaction, path)?;
            transaction.commit()?;
            Ok(removed)
        };
        let removed = self.map_error(remove())?;
        self.subtract_files(removed);
        Ok(())
    }

    /// Up to `limit` files whose paths sort after this one, with their counted sizes. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn files_after(&self, path: &str, limit: u32) -> Result<Vec<(String, u64)>, QuotaDbError> {
        let database = self.database();
        self.map_error(rows::files_after(&database, path, limit))
    }

    /// Corrects the row of a file that counts `counted` bytes: it now has `size`, or is missing
    /// since `now`. Does nothing if the row has changed meanwhile. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn correct_file(
        &self,
        path: &str,
        counted: u64,
        size: Option<u64>,
        now: SystemTime,
    ) -> Result<(), QuotaDbError> {
        let mut database = self.database();
        let row = self.map_error(rows::find_file(&database, path))?;
        let Some((owner, old)) = row.filter(|(_, old)| *old == counted) else { return Ok(()) };
        let changed = match size {
            None => {
                rows::move_to_missing(&mut database, path, missing::unix_seconds(now)).map(drop)
            }
            Some(size) => rows::upsert_file(&database, path, &owner, size),
        };
        self.map_error(changed)?;
        let mut usage = self.usage();
        let owner_usage = usage.owners.entry(owner).or_default();
        let files = owner_usage.files.saturating_sub(old);
        owner_usage.files = files.saturating_add(size.unwrap_or(0));
        Ok(())
    }

    /// The partial files that no running upload has.
    #[must_use]
    pub fn resumable_uploads(&self) -> ResumableUploads {
        let resumable = &self.usage().resumable;
        ResumableUploads {
            count: resumable.len(),
            bytes: resumable.values().copied().fold(0, u64::saturating_add),
        }
    }

    /// The ids of the partial files that no running upload has.
    #[must_use]
    pub fn resumable_ids(&self) -> HashSet<u64> {
        self.usage().resumable.keys().copied().collect()
    }

    /// Whether this partial file exists and no running upload has it.
    #[must_use]
    pub fn is_resumable(&self, id: u64) -> bool {
        self.usage().resumable.contains_key(&id)
    }

    /// Removes the row of an owner's partial file that no running upload has. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn remove_partial_file(&self, id: u64, owner: &Owner) -> Result<(), QuotaDbError> {
        let database = self.database();
        self.map_error(rows::delete_partial_file(&database, id))?;
        let mut usage = self.usage();
        if let Some(size) = usage.resumable.remove(&id)
            && let Some(owner_usage) = usage.owners.get_mut(owner)
        {
            owner_usage.partial_files = owner_usage.partial_files.saturating_sub(size);
        }
        Ok(())
    }

    /// Corrects the rows of partial files: of those `expected` when the search started, these were
    /// `found`, with their sizes. Partial files of running uploads are left alone, and so are those
    /// whose upload ended since. Blocks.
    ///
    /// # Errors
    /// [`QuotaDbError::Database`].
    pub fn correct_partial_files(
        &self,
        expected: &HashSet<u64>,
        found: &HashMap<u64, u64>,
    ) -> Result<(), QuotaDbError> {
        let mut database = self.database();
        let mut usage = self.usage();
        let QuotaUsage { running, resumable, .. } = &*usage;
        // The current size; `None` if the partial file is missing.
        let size = |id: u64| match (found.get(&id), resumable.get(&id)) {
            (None, Some(_)) if expected.contains(&id) => None,
            (Some(&size), _) | (None, Some(&size)) => Some(size),
            (None, None) => None,
        };
        let corrected =
            rows::correct_partial_files(&mut database, |id| running.contains(&id), size);
        let partial_files = self.map_error(corrected)?;
        usage.set_resumable(partial_files);
        usage.owners.retain(|_, owner_usage| owner_usage.total() > 0);
        Ok(())
    }

    /// Subtracts removed rows of files from their owners' usage.
    fn subtract_files(&self, removed: impl IntoIterator<Item = (Owner, u64)>) {
        for (owner, size) in removed {
            if let Some(owner_usage) = self.usage().owners.get_mut(&owner) {
                owner_usage.files = owner_usage.files.saturating_sub(size);
            }
        }
    }

    fn map_error<T>(&self, result: rusqlite::Result<T>) -> Result<T, QuotaDbError> {
        result.map_err(|error| QuotaDbError::Database { path: self.path.clone(), error })
    }

    fn database(&self) -> MutexGuard<'_, Connection> {
        self.database.lock()
    }

    fn usage(&self) -> MutexGuard<'_, QuotaUsage> {
        self.usage.lock()
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

impl QuotaUsage {
    fn set_resumable(&mut self, partial_files: Vec<(u64, Owner, u64)>) {
        self.resumable.clear();
        for owner_usage in self.owners.values_mut() {
            owner_usage.partial_files = 0;
        }
        for (id, owner, size) in partial_files {
            self.resumable.insert(id, size);
            let owner_usage = self.owners.entry(owner).or_default();
            owner_usage.partial_files = owner_usage.partial_files.saturating_add(size);
        }
    }
}

impl OwnerUsage {
    fn total(&self) -> u64 {
        self.files.saturating_add(self.partial_files).saturating_add(self.reserved)
    }
}

#[cfg(test)]
mod tests;
