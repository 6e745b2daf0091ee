//! What a dry run reports: what would be done with each file, and the totals.

use quiver_protocol::FilePath;

use crate::tree::{Decision, ItemCount, ItemKind, PlanItemState};

/// A file or folder of a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// Its path at the source.
    pub source: FilePath,
    /// Its target as shown to users.
    pub target: String,
    /// Whether it is a file or a folder.
    pub kind: ItemKind,
    /// How it compares to the target.
    pub state: PlanItemState,
    /// What to do with a file that differs.
    pub decision: Option<Decision>,
    /// Whether the user would be asked about a file that differs.
    pub would_ask: bool,
    /// Where the new file would be stored, if both are kept.
    pub copy: Option<PlannedCopy>,
    /// Whether it does not fit into the free space.
    pub does_not_fit: bool,
    /// Bytes of the partial file that can be resumed.
    pub resume_at: u64,
}

/// The place of a file that is stored beside an existing one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCopy {
    /// Its path as shown to users.
    pub target: String,
    /// Whether an earlier run has stored it there.
    pub is_stored: bool,
}

/// What a transfer would do with a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedAction {
    /// It is transferred or made.
    Create,
    /// The rest of it is transferred.
    Resume,
    /// It is already there.
    Nothing,
    /// It replaces a file that differs.
    Replace,
    /// It is stored beside a file that differs.
    KeepBoth,
    /// The user is asked about a file that differs.
    Ask,
    /// A file that differs is kept, and this one is not transferred.
    Skip,
    /// It fails, because a file that differs exists.
    Fail,
    /// It fails, because the space does not suffice.
    DoesNotFit,
    /// It fails, because it cannot be stored at its target.
    Blocked,
}

/// The totals of a dry run. Folders are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlanSummary {
    /// All files.
    pub total: ItemCount,
    /// Files that would be transferred, and the bytes of them that are not at the target yet.
    pub moved: ItemCount,
    /// Files that are already there.
    pub same: u64,
    /// Files that differ, whose targets would be kept.
    pub kept: u64,
    /// Files that the user would be asked about.
    pub asked: u64,
    /// Files that would fail.
    pub failed: u64,
    /// Entries that are left out.
    pub left_out: u64,
}

impl PlannedFile {
    /// What would be done with it.
    #[must_use]
    pub fn action(&self) -> PlannedAction {
        match (&self.state, self.decision) {
            (PlanItemState::Same, _) => PlannedAction::Nothing,
            (PlanItemState::Blocked(_), _) => PlannedAction::Blocked,
            (PlanItemState::SameSize | PlanItemState::Differs, None) if self.would_ask => {
                PlannedAction::Ask
            }
            (PlanItemState::SameSize | PlanItemState::Differs, None) => PlannedAction::Fail,
            (PlanItemState::SameSize | PlanItemState::Differs, Some(Decision::Skip)) => {
                PlannedAction::Skip
            }
            _ if self.copy.as_ref().is_some_and(|copy| copy.is_stored) => PlannedAction::Nothing,
            _ if self.does_not_fit => PlannedAction::DoesNotFit,
            (PlanItemState::SameSize | PlanItemState::Differs, Some(Decision::Replace)) => {
                PlannedAction::Replace
            }
            (PlanItemState::SameSize | PlanItemState::Differs, Some(Decision::KeepBoth)) => {
                PlannedAction::KeepBoth
            }
            (PlanItemState::New, _) => PlannedAction::Create,
            (PlanItemState::Partial(_), _) => PlannedAction::Resume,
        }
    }
}

impl PlanSummary {
    /// Counts a file.
    pub(crate) fn add(&mut self, planned: &PlannedFile) {
        let ItemKind::File { size, .. } = planned.kind else { return };
        self.total.add(size);
        match planned.action() {
            PlannedAction::Create
            | PlannedAction::Resume
            | PlannedAction::Replace
            | PlannedAction::KeepBoth => self.moved.add(size.saturating_sub(planned.resume_at)),
            PlannedAction::Nothing => self.same += 1,
            PlannedAction::Skip => self.kept += 1,
            PlannedAction::Ask => self.asked += 1,
            PlannedAction::Fail | PlannedAction::DoesNotFit | PlannedAction::Blocked => {
                self.failed += 1;
            }
        }
    }
}
