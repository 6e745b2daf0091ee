//! Transfers of folders and patterns: the files are collected into a plan, compared with the
//! target, shown or decided, and then transferred, many at once. The same for both directions.

mod collector;
mod compare;
mod conflicts;
mod dry_run;
mod entry_filter;
mod executor;
mod existence;
mod not_served;
mod pattern_filter;

use std::fs::File;
use std::io;

use chrono::Utc;
use quiver_protocol::path::BadPath;
use quiver_protocol::{ContentPrefix, FilePath, Timestamp};
use quiver_transfer::SMALL;

pub(crate) use self::collector::{AddToPlan, Collector, ListedEntries};
pub(crate) use self::compare::compare_content;
pub(crate) use self::dry_run::SpaceLimits;
pub(crate) use self::entry_filter::{EntryFilter, WholeFolder};
pub(crate) use self::executor::Executor;
pub(crate) use self::existence::exists_on_server;
pub(crate) use self::not_served::left_out_of;
pub(crate) use self::pattern_filter::Matches;
use crate::error::ClientError;
use crate::journal::{self, Direction, JournalEntry, TransferSubject};
use crate::reconnecting::ReconnectingSession;
use crate::transfer_context::TransferContext;
use crate::transfers::PlannedCopy;
use crate::tree::{ItemKind, PlanItem, copy_name};

/// Total weight of the files transferred at once; a small file weighs 1. Within the streams that a
/// server lets a client open, and enough to hide a round trip.
pub(crate) const CONCURRENT_WEIGHT: u32 = 48;

/// Weight of a file that is not small: at most four are transferred at once, so that control
/// traffic passes.
pub(crate) const LARGE_FILE_WEIGHT: u32 = CONCURRENT_WEIGHT / 4;

/// Files that are already there are named one by one up to this number, and counted otherwise.
pub(crate) const MAX_NAMED_SAME: u64 = 10;

/// Limit of copy names tried for one file.
pub(crate) const MAX_COPIES: u32 = 1000;

/// The operations of one direction that carry out a plan.
pub(crate) trait TransferOperations: Clone + Send + Sync + 'static {
    /// Returns the state shared by all files.
    fn context(&self) -> &TransferContext;

    /// Returns a file's path on the server.
    fn server_path<'a>(&self, file: &'a PlanItem) -> &'a FilePath;

    /// Opens the local file for reading. Blocks.
    ///
    /// # Errors
    /// An I/O error.
    fn open_local(&self, file: &PlanItem) -> io::Result<File>;

    /// Makes a folder at the target.
    fn make_folder(
        &self,
        folder: &PlanItem,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;

    /// Sets the modification times of folders, after all changes in them.
    fn set_folder_times(
        &self,
        folders: Vec<PlanItem>,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;

    /// Transfers a file. Returns its size in bytes; `None` if it was to be kept beside another and
    /// is already stored.
    fn transfer(
        &self,
        file: PlanItem,
        placement: Placement,
    ) -> impl Future<Output = Result<Option<u64>, ClientError>> + Send;

    /// Returns where a file that differs would be stored beside the existing one. Stores nothing.
    fn planned_copy(
        &self,
        file: &PlanItem,
    ) -> impl Future<Output = Result<PlannedCopy, ClientError>> + Send;

    /// Reports a file whose target has the same content already, with this hash.
    fn report_same(
        &self,
        file: &PlanItem,
        content: ContentPrefix,
    ) -> impl Future<Output = ()> + Send;

    /// Returns the error for an item that is blocked.
    fn blocked_error(&self, item: &PlanItem, why: &str) -> ClientError;

    /// Returns the error for a file whose target exists and differs, without a decision.
    fn exists_error(&self, item: &PlanItem) -> ClientError;
}

/// How a file is placed at its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// The target does not exist.
    Create,
    /// The existing file is replaced.
    Replace,
    /// The existing file stays; the new one gets an unused name.
    KeepBoth,
}

/// Makes the journal entry of a running tree transfer.
pub(crate) fn journal_entry(
    direction: Direction,
    session: &ReconnectingSession,
    tree: journal::TreeSelection,
) -> JournalEntry {
    let (server, started) = (session.server_ref().clone(), Timestamp(Utc::now()));
    JournalEntry { direction, server, started, subject: TransferSubject::Tree(tree) }
}

/// Returns the path of a numbered copy.
pub(crate) fn copy_path(path: &FilePath, copy: u32) -> Result<FilePath, BadPath> {
    path.parent().join(&copy_name(path.file_name(), copy))
}

/// Whether an item is a small file, of which many are transferred at once.
pub(crate) fn is_small(item: &PlanItem) -> bool {
    matches!(item.found.kind, ItemKind::File { size, .. } if size <= SMALL)
}

/// Returns a file's share of [`CONCURRENT_WEIGHT`].
fn weight(item: &PlanItem) -> u32 {
    if is_small(item) { 1 } else { LARGE_FILE_WEIGHT }
}
