//! The plan of an order: rows of a temporary database, so that memory does not grow with the tree.

mod rows;

use std::path::Path;

use quiver_protocol::{FilePath, Timestamp};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Memory of the database, in KiB; what does not fit goes to its file.
const CACHE: i64 = 1024;

/// Items of a plan, and bytes of their paths. A server that lists names without end must not fill this
/// machine's disk.
const MOST: u64 = 10_000_000;
const MOST_BYTES: u64 = 4 << 30;

/// Items that are written to the file at once.
const BATCH: usize = 1000;

/// Items that are read at once.
const READ: u32 = 256;

/// Files and folders in the order in which they are to be dealt with: a folder before what is in it.
#[derive(Debug)]
pub struct Plan {
    database: Connection,
    unwritten: usize,
    items: u64,
    /// Of their paths.
    bytes: u64,
}

/// A file or folder that was found where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEntry {
    /// Which of the things that were named it belongs to.
    pub source_root: u32,
    /// Where it is: on the server, or below the folder here that was named.
    pub source: FilePath,
    /// Where it is to be: below the folder here, or on the server. Nothing else in the plan goes there.
    pub target: FilePath,
    /// What it is.
    pub kind: ItemKind,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    /// A folder.
    Folder {
        /// When something in it was last added or removed.
        modified: Timestamp,
    },
    /// A regular file.
    File {
        /// Bytes.
        size: u64,
        /// When its content was last modified.
        modified: Timestamp,
    },
}

/// A file or folder of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanItem {
    /// Its number, from 1, in the order of the plan.
    pub number: i64,
    /// What was found.
    pub found: FoundEntry,
    /// How that compares to what is where it is to be.
    pub state: PlanItemState,
    /// What is to become of a file that differs; `None` where nobody has decided.
    pub decision: Option<Decision>,
}

/// How an item compares to what is where it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanItemState {
    /// Nothing is there.
    New,
    /// So many bytes of it are there already, unproved.
    Partial(u64),
    /// A file of the same size is there; nobody has compared the content.
    SameSize,
    /// It is there: a folder, or a file with the same content.
    Same,
    /// A file with other content is there.
    Differs,
    /// It cannot be stored there, and why.
    Blocked(String),
}

/// What is to become of a file that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The new one takes its place.
    Replace,
    /// Both stay: the new one gets another name.
    KeepBoth,
    /// It stays as it is.
    Skip,
}

/// How many there are of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ItemCount {
    /// Files.
    pub files: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// Why a plan cannot be made.
#[derive(Debug, Error)]
pub enum PlanError {
    /// Two different things would have one place.
    #[error("two files would be stored as {0}")]
    Twice(FilePath),
    /// No honest folder holds so much.
    #[error("there are more files and folders than one plan may have")]
    TooLarge,
    /// The temporary database failed.
    #[error("cannot keep the plan in a temporary file: {0}")]
    Database(#[from] rusqlite::Error),
}

impl Plan {
    /// An empty plan.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn new() -> Result<Self, PlanError> {
        // The empty name is a file of SQLite's own in the temporary folder, without a name.
        let database = Connection::open(Path::new(""))?;
        database.pragma_update(None, "cache_size", -CACHE)?;
        // It is not read again by anybody: nothing has to survive.
        database.pragma_update(None, "journal_mode", "off")?;
        database.pragma_update(None, "synchronous", "off")?;
        database.execute_batch(rows::TABLE)?;
        database.execute_batch("begin")?;
        Ok(Self { database, unwritten: 0, items: 0, bytes: 0 })
    }

    /// Adds an item. The content of a folder is asked for by [`next_folder`](Self::next_folder) later. The
    /// same thing at the same place a second time changes nothing; whether it is new.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn add(&mut self, found: &FoundEntry, state: &PlanItemState) -> Result<bool, PlanError> {
        let (is_folder, size, modified) = match found.kind {
            ItemKind::Folder { modified } => (true, 0, modified),
            ItemKind::File { size, modified } => (false, size, modified),
        };
        let (state, offset, why) = rows::of_state(state);
        let new = self.database.prepare_cached(rows::INSERT)?.execute(params![
            found.source_root,
            found.source.as_str(),
            found.target.as_str(),
            is_folder,
            // Bit by bit: SQLite's integers have a sign.
            size.cast_signed(),
            modified.0.timestamp(),
            modified.0.timestamp_subsec_nanos(),
            state,
            offset,
            why,
        ])?;
        if new == 0 {
            let there = self.at(&found.target)?;
            let is_it = |item: PlanItem| {
                (item.found.source_root, &item.found.source) == (found.source_root, &found.source)
            };
            if !there.is_some_and(is_it) {
                return Err(PlanError::Twice(found.target.clone()));
            }
            return Ok(false);
        }
        self.items += 1;
        self.bytes += (found.source.as_str().len() + found.target.as_str().len()) as u64;
        if self.items > MOST || self.bytes > MOST_BYTES {
            return Err(PlanError::TooLarge);
        }
        self.unwritten += 1;
        if self.unwritten == BATCH {
            self.unwritten = 0;
            self.database.execute_batch("commit; begin")?;
        }
        Ok(true)
    }

    /// How many files there are.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn files(&self) -> Result<u64, PlanError> {
        Ok(rows::count(&self.database, "size", "is_folder = ?1", 0)?.files)
    }

    /// The item that has this place.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn at(&self, target: &FilePath) -> Result<Option<PlanItem>, PlanError> {
        rows::first(&self.database, "where target = ?1", target.as_str())
    }

    /// A folder whose content was not asked for yet, the first one after the one with this number.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn next_folder(&self, number: i64) -> Result<Option<PlanItem>, PlanError> {
        rows::first(
            &self.database,
            "where number > ?1 and is_folder = 1 order by number limit 1",
            number,
        )
    }

    /// Some items that follow the one with this number; the first one follows 0, and after the last there
    /// are none.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn after(&self, number: i64) -> Result<Vec<PlanItem>, PlanError> {
        rows::some(&self.database, "where number > ?1 order by number", number, READ)
    }

    /// The same of those alone that have a state like this one.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn after_in(&self, number: i64, state: &PlanItemState) -> Result<Vec<PlanItem>, PlanError> {
        let (state, _, _) = rows::of_state(state);
        let which = format!("where number > ?1 and state = {state} order by number");
        rows::some(&self.database, &which, number, READ)
    }

    /// The same of folders, backwards: `None` begins at the last. A folder comes after those in it.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn folders_before(&self, number: Option<i64>) -> Result<Vec<PlanItem>, PlanError> {
        let which = "where number < ?1 and is_folder = 1 order by number desc";
        rows::some(&self.database, which, number.unwrap_or(i64::MAX), READ)
    }

    /// An item compares in another way.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn set(&self, number: i64, state: &PlanItemState) -> Result<(), PlanError> {
        let (state, offset, why) = rows::of_state(state);
        let sql = "update items set state = ?2, offset = ?3, why = ?4 where number = ?1";
        self.database.prepare_cached(sql)?.execute(params![number, state, offset, why])?;
        Ok(())
    }

    /// What is to become of a file that differs.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn decide(&self, number: i64, decision: Decision) -> Result<(), PlanError> {
        let sql = "update items set decision = ?2 where number = ?1";
        self.database.prepare_cached(sql)?.execute(params![number, decision as i64])?;
        Ok(())
    }

    /// The same for all that differ and are not decided.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn decide_all(&self, decision: Decision) -> Result<(), PlanError> {
        let (differs, _, _) = rows::of_state(&PlanItemState::Differs);
        let sql = "update items set decision = ?1 where state = ?2 and decision is null";
        self.database.prepare_cached(sql)?.execute(params![decision as i64, differs])?;
        Ok(())
    }

    /// The files of a state like this one.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn count(&self, state: &PlanItemState) -> Result<ItemCount, PlanError> {
        let (state, _, _) = rows::of_state(state);
        rows::count(&self.database, "size", "state = ?1 and is_folder = 0", state)
    }

    /// The files that are to move: what is new or begun, and what takes the place of something else or a
    /// place beside it.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn moving(&self) -> Result<ItemCount, PlanError> {
        let (differs, _, _) = rows::of_state(&PlanItemState::Differs);
        let which = format!(
            "is_folder = 0 and (state <= ?1 or (state = {differs} and decision < {}))",
            Decision::Skip as i64
        );
        let (begun, _, _) = rows::of_state(&PlanItemState::Partial(0));
        rows::count(&self.database, "size", &which, begun)
    }

    /// Bytes that are there already of files that are begun.
    ///
    /// # Errors
    /// [`PlanError::Database`].
    pub fn begun(&self) -> Result<u64, PlanError> {
        let (begun, _, _) = rows::of_state(&PlanItemState::Partial(0));
        Ok(rows::count(&self.database, "offset", "state = ?1", begun)?.bytes)
    }
}

#[cfg(test)]
mod tests;
