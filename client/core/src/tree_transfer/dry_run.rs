//! The dry run of a plan, and the check of free space.

use std::sync::Arc;

use quiver_protocol::units;

use crate::error::ClientError;
use crate::reporter::Reporter;
use crate::shared_plan::SharedPlan;
use crate::transfers::{PlannedFile, TransferEvent};
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

/// Reports each file, and each folder that does not exist yet.
pub(crate) async fn report_plan(
    plan: &SharedPlan,
    reporter: &Reporter,
    space: SpaceLimits,
    display_name: impl Fn(&PlanItem) -> String,
) -> Result<(), ClientError> {
    let mut remaining = space.available;
    let mut number = 0;
    loop {
        let items = plan.items_after(number).await?;
        let Some(last) = items.last() else { break };
        number = last.number;
        for item in items {
            let is_folder = matches!(item.found.kind, ItemKind::Folder { .. });
            if is_folder && item.state == PlanItemState::Same {
                continue;
            }
            let target = display_name(&item);
            let planned = planned_file(item, target, &mut remaining, space.max_file_size);
            reporter.report(TransferEvent::Planned(Arc::new(planned))).await;
        }
    }
    reporter.report(TransferEvent::PlanShown).await;
    Ok(())
}

/// Describes an item of a dry run. A pending file that fits reduces `remaining`.
fn planned_file(
    item: PlanItem,
    target: String,
    remaining: &mut u64,
    max_file_size: u64,
) -> PlannedFile {
    let PlanItem { found, state, decision, .. } = item;
    let mut planned = PlannedFile {
        source: found.source,
        target,
        kind: found.kind,
        state,
        decision,
        does_not_fit: false,
        resume_at: 0,
    };
    let is_pending = match (&planned.state, decision) {
        (PlanItemState::Same | PlanItemState::Blocked(_), _)
        | (PlanItemState::SameSize | PlanItemState::Differs, None | Some(Decision::Skip)) => false,
        (PlanItemState::Partial(bytes), _) => {
            planned.resume_at = *bytes;
            true
        }
        (PlanItemState::New | PlanItemState::SameSize | PlanItemState::Differs, _) => true,
    };
    if let ItemKind::File { size, .. } = planned.kind
        && is_pending
    {
        match remaining.checked_sub(size.saturating_sub(planned.resume_at)) {
            Some(rest) if size <= max_file_size => *remaining = rest,
            _ => planned.does_not_fit = true,
        }
    } else {
        planned.resume_at = 0;
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
            let item = PlanItem { number: 1, found, state, decision };
            !planned_file(item, "notes/a".to_owned(), &mut remaining, max_file_size).does_not_fit
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
