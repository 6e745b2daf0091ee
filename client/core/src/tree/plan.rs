//! The plan of a transfer: rows of a temporary database, so that memory does not grow with the
//! tree.

mod rows;

use std::path::Path;

use quiver_protocol::{ContentHash, FilePath, Timestamp};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The database's page cache in KiB.
const CACHE_KIB: i64 = 1024;

/// Limits of a plan: items, and bytes of their paths. A server that lists names without end must
/// not fill this machine's disk.
const MAX_ITEMS: u64 = 10_000_000;
const MAX_PATH_BYTES: u64 = 4 << 30;

/// Items written in one transaction.
const COMMIT_BATCH: usize = 1000;

/// Items read in one page.
const PAGE_SIZE: u32 = 256;

/// Files and folders in the order of their transfer: a folder before its contents.
#[derive(Debug)]
pub struct Plan {
    database: Connection,
    uncommitted: usize,
    items: u64,
    /// Bytes of the items' paths.
    path_bytes: u64,
}

/// A file or folder found at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEntry {
    /// Index of the named source it belongs to.
    pub source_root: u32,
    /// Its path at the source: on the server, or in the local source root.
    pub source: FilePath,
    /// Its path at the target: in the local folder, or on the server. Unique in a plan.
    pub target: FilePath,
    /// Whether it is a file or a folder.
    pub kind: ItemKind,
}

/// Whether an entry is a file or a folder, with its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    /// A folder.
    Folder {
        /// When an entry of it was last added or removed.
        modified: Timestamp,
    },
    /// A regular file.
    File {
        /// Size in bytes.
        size: u64,
        /// When its content was last modified.
        modified: Timestamp,
    },
}

/// A file or folder of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanItem {
    /// Its number in the plan, from 1.
    pub number: i64,
    /// The entry found at the source.
    pub found: FoundEntry,
    /// How it compares to the target.
    pub state: PlanItemState,
    /// What to do with a file that differs; `None` if undecided.
    pub decision: Option<Decision>,
    /// The hash of a file that is the same, if it was compared by its content.
    pub blake3: Option<ContentHash>,
}

/// How an item compares to what exists at its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanItemState {
    /// The target does not exist.
    New,
    /// A partial file of this many bytes exists. Its content is not verified.
    Partial(u64),
    /// A file of the same size exists; the content is not compared yet.
    SameSize,
    /// The same folder, or a file with the same content, exists.
    Same,
    /// A file with other content exists.
    Differs,
    /// It cannot be stored at the target, for this reason.
    Blocked(String),
}

/// What to do with a file that differs from the existing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Replace the existing file.
    Replace,
    /// Keep the existing file, and store the new one under another name.
    KeepBoth,
    /// Keep the existing file only.
    Skip,
}

/// A number of files and their size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ItemCount {
    /// Number of files.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

impl ItemCount {
    /// Counts a file of this size.
    pub(crate) fn add(&mut self, size: u64) {
        self.files += 1;
        // A server may report any size.
        self.bytes = self.bytes.saturating_add(size);
    }
}

/// Why a plan cannot be made.
#[derive(Debug, Error)]
pub enum PlanError {
    /// Two different sources have the same target.
    #[error("two files would be stored as {0}")]
    DuplicateTarget(FilePath),
    /// The source has more items or longer paths than a plan may have.
    #[error("there are more files and folders than one plan may have")]
    TooLarge,
    /// The temporary database failed.
    #[error("cannot keep the plan in a temporary file: {0}")]
    Database(#[from] rusqlite::Error),
}

impl Plan {
    /// Makes an empty plan.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn new() -> Result<Self, PlanError> {
        // With an empty name SQLite uses an unnamed file in the temporary folder.
        let database = Connection::open(Path::new(""))?;
        database.pragma_update(None, "cache_size", -CACHE_KIB)?;
        // No other process reads the file, so nothing needs to survive a crash.
        database.pragma_update(None, "journal_mode", "off")?;
        database.pragma_update(None, "synchronous", "off")?;
        database.execute_batch(rows::TABLE)?;
        database.execute_batch("begin")?;
        Ok(Self { database, uncommitted: 0, items: 0, path_bytes: 0 })
    }

    /// Adds an item. Returns whether it is new: adding the same source with the same target again
    /// changes nothing.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn add(&mut self, found: &FoundEntry, state: &PlanItemState) -> Result<bool, PlanError> {
        let (is_folder, size, modified) = match found.kind {
            ItemKind::Folder { modified } => (true, 0, modified),
            ItemKind::File { size, modified } => (false, size, modified),
        };
        let (state, offset, why) = rows::state_columns(state);
        let inserted = self.database.prepare_cached(rows::INSERT)?.execute(params![
            found.source_root,
            found.source.as_str(),
            found.target.as_str(),
            is_folder,
            // SQLite's integers are signed: the bits are kept.
            size.cast_signed(),
            modified.0.timestamp(),
            modified.0.timestamp_subsec_nanos(),
            state,
            offset,
            why,
        ])?;
        if inserted == 0 {
            let existing = self.find_target(&found.target)?;
            let is_same = |item: PlanItem| {
                (item.found.source_root, &item.found.source) == (found.source_root, &found.source)
            };
            if !existing.is_some_and(is_same) {
                return Err(PlanError::DuplicateTarget(found.target.clone()));
            }
            return Ok(false);
        }
        self.items += 1;
        self.path_bytes += (found.source.as_str().len() + found.target.as_str().len()) as u64;
        if self.items > MAX_ITEMS || self.path_bytes > MAX_PATH_BYTES {
            return Err(PlanError::TooLarge);
        }
        self.uncommitted += 1;
        if self.uncommitted == COMMIT_BATCH {
            self.uncommitted = 0;
            self.database.execute_batch("commit; begin")?;
        }
        Ok(true)
    }

    /// Returns the number of files.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn count_files(&self) -> Result<u64, PlanError> {
        Ok(rows::count(&self.database, "size", "is_folder = ?1", 0)?.files)
    }

    /// Returns the number of files, and their bytes.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn total(&self) -> Result<ItemCount, PlanError> {
        rows::count(&self.database, "size", "is_folder = ?1", 0)
    }

    /// Returns the item with this target.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn find_target(&self, target: &FilePath) -> Result<Option<PlanItem>, PlanError> {
        rows::select_one(&self.database, "where target = ?1", target.as_str())
    }

    /// Returns the first folder after the item with this number.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn next_folder(&self, number: i64) -> Result<Option<PlanItem>, PlanError> {
        rows::select_one(
            &self.database,
            "where number > ?1 and is_folder = 1 order by number limit 1",
            number,
        )
    }

    /// Returns a page of items after the one with this number. The first page follows 0; after the
    /// last item the page is empty.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn items_after(&self, number: i64) -> Result<Vec<PlanItem>, PlanError> {
        rows::select_page(&self.database, "where number > ?1 order by number", number, PAGE_SIZE)
    }

    /// Returns a page of items whose targets are after this one, in the byte order of their targets. The first
    /// page follows the empty text.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn targets_after(&self, target: &str) -> Result<Vec<PlanItem>, PlanError> {
        rows::select_page(&self.database, "where target > ?1 order by target", target, PAGE_SIZE)
    }

    /// Like [`items_after`](Self::items_after), for items whose state is of the same variant.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn items_in_state_after(
        &self,
        number: i64,
        state: &PlanItemState,
    ) -> Result<Vec<PlanItem>, PlanError> {
        let (state, _, _) = rows::state_columns(state);
        let condition = format!("where number > ?1 and state = {state} order by number");
        rows::select_page(&self.database, &condition, number, PAGE_SIZE)
    }

    /// Returns a page of folders in reverse order: a folder after its subfolders. `None` starts at
    /// the last folder.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn folders_before(&self, number: Option<i64>) -> Result<Vec<PlanItem>, PlanError> {
        let condition = "where number < ?1 and is_folder = 1 order by number desc";
        rows::select_page(&self.database, condition, number.unwrap_or(i64::MAX), PAGE_SIZE)
    }

    /// Sets the state of an item.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn set_state(&self, number: i64, state: &PlanItemState) -> Result<(), PlanError> {
        let (state, offset, why) = rows::state_columns(state);
        let sql = "update items set state = ?2, offset = ?3, why = ?4 where number = ?1";
        self.database.prepare_cached(sql)?.execute(params![number, state, offset, why])?;
        Ok(())
    }

    /// Sets the state of a file that has the same content, with this hash.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn set_same(&self, number: i64, blake3: ContentHash) -> Result<(), PlanError> {
        let (same, _, _) = rows::state_columns(&PlanItemState::Same);
        let sql = "update items set state = ?2, blake3 = ?3 where number = ?1";
        self.database.prepare_cached(sql)?.execute(params![number, same, blake3.0])?;
        Ok(())
    }

    /// Sets the decision for a file that differs.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn decide(&self, number: i64, decision: Decision) -> Result<(), PlanError> {
        let sql = "update items set decision = ?2 where number = ?1";
        self.database.prepare_cached(sql)?.execute(params![number, decision as i64])?;
        Ok(())
    }

    /// Sets the decision for all files that differ and are undecided.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn decide_all(&self, decision: Decision) -> Result<(), PlanError> {
        let (differs, _, _) = rows::state_columns(&PlanItemState::Differs);
        let sql = "update items set decision = ?1 where state = ?2 and decision is null";
        self.database.prepare_cached(sql)?.execute(params![decision as i64, differs])?;
        Ok(())
    }

    /// Counts the files whose state is of the same variant.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn count_in_state(&self, state: &PlanItemState) -> Result<ItemCount, PlanError> {
        let (state, _, _) = rows::state_columns(state);
        rows::count(&self.database, "size", "state = ?1 and is_folder = 0", state)
    }

    /// Counts the files to transfer: new and partial ones, and those that replace an existing file
    /// or are stored next to it.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn pending(&self) -> Result<ItemCount, PlanError> {
        let (differs, _, _) = rows::state_columns(&PlanItemState::Differs);
        let condition = format!(
            "is_folder = 0 and (state <= ?1 or (state = {differs} and decision < {}))",
            Decision::Skip as i64
        );
        let (partial, _, _) = rows::state_columns(&PlanItemState::Partial(0));
        rows::count(&self.database, "size", &condition, partial)
    }

    /// Returns the bytes that exist of partial files.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn partial_bytes(&self) -> Result<u64, PlanError> {
        let (partial, _, _) = rows::state_columns(&PlanItemState::Partial(0));
        Ok(rows::count(&self.database, "offset", "state = ?1", partial)?.bytes)
    }
}

#[cfg(test)]
mod tests;
