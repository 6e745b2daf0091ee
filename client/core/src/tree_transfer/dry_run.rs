//! The dry run of a plan, and the check of free space.

use std::sync::Arc;

use quiver_protocol::units;

use super::TransferOperations;
use crate::error::ClientError;
use crate::outcomes::affects_all;
use crate::reporter::Reporter;
use crate::shared_plan::SharedPlan;
use crate::transfers::{PlanSummary, PlannedAction, PlannedCopy, PlannedFile, TransferEvent};
use crate::tree::{Decision, ItemKind, PlanItem, PlanItemState};

/// Limits of the target's storage, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpaceLimits {
    /// For all files together.
    pub(crate) available: u64,
    /// For one file.
    pub(crate) max_file_size: u64,
    /// Bytes of the server's disk that are free too, but that its operator keeps free.
    pub(crate) kept_free: Option<u64>,
}

/// Checks that the pending files fit. Returns the reason if they do not.
pub(crate) async fn check_space(
    plan: &SharedPlan,
    space: SpaceLimits,
) -> Result<Option<String>, ClientError> {
    let pending = plan.with(|plan| plan.pending()).await?;
    let partial_bytes = plan.with(|plan| plan.partial_bytes()).await?;
    let needed = pending.bytes.saturating_sub(partial_bytes);
    Ok((needed > space.available).then(|| {
        let available = space.available;
        let kept = space.kept_free.filter(|kept| needed <= available.saturating_add(*kept));
        let why = kept.map_or_else(String::new, |kept| {
            format!(": the server keeps another {} of its disk free", units::bytes(kept))
        });
        let (needed, available) = units::compared_bytes(needed, available);
        format!("{needed} are needed, but only {available} are free{why}")
    }))
}

/// What a dry run needs beside the plan.
pub(super) struct DryRun<'a, T> {
    pub(super) operations: &'a T,
    pub(super) plan: &'a SharedPlan,
    pub(super) reporter: &'a Reporter,
    pub(super) space: SpaceLimits,
    /// The number of entries that are left out.
    pub(super) left_out: u64,
    /// Whether the user would be asked about files that differ.
    pub(super) would_ask: bool,
}

impl<T: TransferOperations> DryRun<'_, T> {
    /// Reports each file, and each folder that does not exist yet, in the byte order of the targets, and the totals.
    pub(super) async fn report(
        &self,
        display_name: impl Fn(&PlanItem) -> String,
    ) -> Result<(), ClientError> {
        let mut remaining = self.space.available;
        let mut summary = PlanSummary { left_out: self.left_out, ..PlanSummary::default() };
        let mut target = String::new();
        loop {
            let after = target.clone();
            let items = self.plan.with(move |plan| plan.targets_after(&after)).await?;
            let Some(last) = items.last() else { break };
            target = last.found.target.to_string();
            for item in items {
                let is_folder = matches!(item.found.kind, ItemKind::Folder { .. });
                if is_folder && item.state == PlanItemState::Same {
                    continue;
                }
                let copy = self.planned_copy(&item).await?;
                let planned = PlannedFile {
                    copy,
                    would_ask: self.would_ask,
                    ..planned_file(&item, display_name(&item))
                };
                let planned = planned_in(planned, &mut remaining, self.space.max_file_size);
                summary.add(&planned);
                self.reporter.report(TransferEvent::Planned(Arc::new(planned))).await;
            }
        }
        self.reporter.report(TransferEvent::PlanShown(summary)).await;
        Ok(())
    }

    /// Where a file would be stored beside an existing one, if it would. A failure is reported by the transfer itself,
    /// unless it affects all files.
    async fn planned_copy(&self, item: &PlanItem) -> Result<Option<PlannedCopy>, ClientError> {
        let is_kept_beside = item.decision == Some(Decision::KeepBoth)
            && matches!(item.state, PlanItemState::SameSize | PlanItemState::Differs);
        if !is_kept_beside {
            return Ok(None);
        }
        match self.operations.planned_copy(item).await {
            Err(failure) if affects_all(&failure) => Err(failure),
            copy => Ok(copy.ok()),
        }
    }
}

fn planned_file(item: &PlanItem, target: String) -> PlannedFile {
    PlannedFile {
        source: item.found.source.clone(),
        target,
        kind: item.found.kind,
        state: item.state.clone(),
        decision: item.decision,
        would_ask: false,
        copy: None,
        does_not_fit: false,
        resume_at: 0,
    }
}

/// Sets whether an item of a dry run fits, and from where it would be resumed. A file that would be transferred and fits
/// reduces `remaining`.
fn planned_in(mut planned: PlannedFile, remaining: &mut u64, max_file_size: u64) -> PlannedFile {
    let ItemKind::File { size, .. } = planned.kind else { return planned };
    match planned.action() {
        PlannedAction::Create | PlannedAction::Replace | PlannedAction::KeepBoth => {}
        PlannedAction::Resume => {
            if let PlanItemState::Partial(bytes) = planned.state {
                planned.resume_at = bytes;
            }
        }
        _ => return planned,
    }
    match remaining.checked_sub(size.saturating_sub(planned.resume_at)) {
        Some(rest) if size <= max_file_size => *remaining = rest,
        _ => planned.does_not_fit = true,
    }
    planned
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use quiver_protocol::{FilePath, Timestamp};

    use super::*;
    use crate::tree::FoundEntry;

    #[test]
    fn a_file_that_fits_reduces_the_remaining_space() {
        let mut remaining = 260;
        let mut fits = |state, decision, max_file_size| {
            let path = FilePath::parse("notes/a").unwrap();
            let modified = Timestamp::from(SystemTime::UNIX_EPOCH);
            let kind = ItemKind::File { size: 100, modified };
            let found = FoundEntry { source_root: 0, source: path.clone(), target: path, kind };
            let item = PlanItem { number: 1, found, state, decision, blake3: None };
            let planned = planned_file(&item, "notes/a".to_owned());
            !planned_in(planned, &mut remaining, max_file_size).does_not_fit
        };
        assert!(fits(PlanItemState::New, None, 100));
        assert!(fits(PlanItemState::Partial(45), None, 100));
        assert!(fits(PlanItemState::Same, None, 100));
        assert!(fits(PlanItemState::Differs, None, 100));
        assert!(fits(PlanItemState::Differs, Some(Decision::Replace), 100));
        assert!(!fits(PlanItemState::New, None, 100));
        assert!(fits(PlanItemState::Blocked("a folder has that name".to_owned()), None, 100));
        assert!(!fits(PlanItemState::Partial(99), None, 99));
    }
}
