//! Folders and patterns: what they hold is put into a plan, compared with what is there already, shown or
//! decided, and then moved, many files at once. The same for both directions.

mod collector;
mod compare;
mod conflicts;
mod dry_run;
mod executor;

use std::fs::File;
use std::io;

use chrono::Utc;
use quiver_protocol::path::BadPath;
use quiver_protocol::{FilePath, FolderPath, Timestamp};
use quiver_transfer::SMALL;

pub(crate) use self::collector::{AddToPlan, Collector, WholeFolder};
pub(crate) use self::compare::is_same_as;
pub(crate) use self::dry_run::SpaceNeeded;
pub(crate) use self::executor::Executor;
use crate::error::ClientError;
use crate::journal::{self, Direction, JournalEntry, TransferSubject};
use crate::progress::TotalProgressMeter;
use crate::reconnecting::ReconnectingSession;
use crate::transfer_context::TransferContext;
use crate::tree::{ItemKind, PlanItem, another_name};

/// Small files on their way at once, within the streams that a server lets a client open: enough to hide
/// the way there and back.
pub(crate) const AT_ONCE: u32 = 48;

/// A larger file counts for several small ones: four such are at once on their way, and chat passes.
pub(crate) const LARGE_COUNTS_FOR: u32 = AT_ONCE / 4;

/// More copies of one name than this nobody wants.
pub(crate) const COPIES: u32 = 1000;

/// A direction: how what is planned gets where it goes.
pub(crate) trait TreeTransfer: Clone + Send + Sync + 'static {
    /// What all files have in common.
    fn context(&self) -> &TransferContext;

    /// What moves from now on counts there.
    fn count(&mut self, total: TotalProgressMeter);

    /// Where a file is on the server, or will be.
    fn remote<'a>(&self, file: &'a PlanItem) -> &'a FilePath;

    /// The file here, to be read. Blocks.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, file: &PlanItem) -> io::Result<File>;

    /// Makes a folder that is not there.
    fn make_folder(
        &self,
        folder: &PlanItem,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;

    /// Gives folders the time of their last change, once nothing changes in them any more.
    fn date_folders(
        &self,
        folders: Vec<PlanItem>,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;

    /// Moves a file; how many bytes it has. `None` where it was to go beside another, and is there.
    fn transfer(
        &self,
        file: PlanItem,
        placement: Placement,
    ) -> impl Future<Output = Result<Option<u64>, ClientError>> + Send;

    /// Why something does not move.
    fn blocked(&self, item: &PlanItem, why: &str) -> ClientError;

    /// The same of a file that differs from one that is to stay.
    fn exists(&self, item: &PlanItem) -> ClientError;
}

/// Where a file goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Where nothing is.
    Free,
    /// Into the place of another.
    Replace,
    /// Beside another, under a name that nothing has.
    Beside,
}

/// What is written down of a tree that is under way.
pub(crate) fn entry(
    direction: Direction,
    session: &ReconnectingSession,
    tree: journal::TreeSelection,
) -> JournalEntry {
    let (server, started) = (session.server_ref().clone(), Timestamp(Utc::now()));
    JournalEntry { direction, server, started, subject: TransferSubject::Tree(tree) }
}

/// The path of a copy of something.
pub(crate) fn beside(path: &FilePath, copy: u32) -> Result<FilePath, BadPath> {
    let above = path.as_str().rsplit_once('/').map_or("", |(above, _)| above);
    FolderPath::parse(above)?.join(&another_name(path.file_name(), copy))
}

/// Whether a file is one of those of which many may be on their way.
pub(crate) fn is_small(item: &PlanItem) -> bool {
    matches!(item.found.kind, ItemKind::File { size, .. } if size <= SMALL)
}

/// How much of what may be on its way at once a file counts for.
fn weight(item: &PlanItem) -> u32 {
    if is_small(item) { 1 } else { LARGE_COUNTS_FOR }
}
