//! What a plan would do, for whoever asks before anything moves.

use std::sync::Arc;

use crate::error::ClientError;
use crate::reporter::Reporter;
use crate::shared_plan::Planner;
use crate::transfers::{PlannedFile, TransferEvent};
use crate::tree::{Decision, ItemKind, PlanItem, PlanItemState};

/// What has to be enough for a plan. Bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpaceNeeded {
    /// All files together.
    pub(crate) free: u64,
    /// One file.
    pub(crate) largest: u64,
}

/// Why what is to move does not fit, if so.
pub(crate) async fn does_not_fit(
    planner: &Planner,
    room: SpaceNeeded,
) -> Result<Option<String>, ClientError> {
    let moving = planner.work(|plan| plan.moving()).await?;
    let begun = planner.work(|plan| plan.begun()).await?;
    let due = moving.bytes.saturating_sub(begun);
    Ok((due > room.free).then(|| format!("{due} bytes are to come where {} are free", room.free)))
}

/// Tells of each file, and of each folder that is not there.
pub(crate) async fn tell(
    planner: &Planner,
    reporter: &Reporter,
    room: SpaceNeeded,
    shown: impl Fn(&PlanItem) -> String,
) -> Result<(), ClientError> {
    let mut left = room.free;
    let mut number = 0;
    loop {
        let items = planner.after(number).await?;
        let Some(last) = items.last() else { break };
        number = last.number;
        for item in items {
            let is_folder = matches!(item.found.kind, ItemKind::Folder { .. });
            if is_folder && item.state == PlanItemState::Same {
                continue;
            }
            let target = shown(&item);
            let planned = planned(item, target, &mut left, room.largest);
            reporter.report(TransferEvent::Planned(Arc::new(planned))).await;
        }
    }
    reporter.report(TransferEvent::PlanShown).await;
    Ok(())
}

/// What would be done, and how much of it is there already. What fits takes its room.
fn planned(item: PlanItem, target: String, left: &mut u64, largest: u64) -> PlannedFile {
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
    let moves = match (&planned.state, decision) {
        (PlanItemState::Same | PlanItemState::Blocked(_), _)
        | (PlanItemState::SameSize | PlanItemState::Differs, None | Some(Decision::Skip)) => false,
        (PlanItemState::Partial(begun), _) => {
            planned.resume_at = *begun;
            true
        }
        (PlanItemState::New | PlanItemState::SameSize | PlanItemState::Differs, _) => true,
    };
    if let ItemKind::File { size, .. } = planned.kind
        && moves
    {
        match left.checked_sub(size.saturating_sub(planned.resume_at)) {
            Some(rest) if size <= largest => *left = rest,
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
    fn what_fits_takes_its_room_and_the_next_may_not_fit() {
        let mut left = 260;
        let mut fits = |state, decision, largest| {
            let path = FilePath::parse("notes/a").unwrap();
            let modified = Timestamp::from(SystemTime::UNIX_EPOCH);
            let kind = ItemKind::File { size: 100, modified };
            let found = FoundEntry { source_root: 0, source: path.clone(), target: path, kind };
            let item = PlanItem { number: 1, found, state, decision };
            !planned(item, "notes/a".to_owned(), &mut left, largest).does_not_fit
        };
        assert!(fits(PlanItemState::New, None, 100));
        assert!(fits(PlanItemState::Partial(45), None, 100));
        assert!(fits(PlanItemState::Same, None, 100));
        assert!(fits(PlanItemState::Differs, None, 100));
        assert!(fits(PlanItemState::Differs, Some(Decision::Replace), 100));
        assert!(!fits(PlanItemState::New, None, 100));
        assert!(fits(PlanItemState::Blocked("a folder stands there".to_owned()), None, 100));
        assert!(!fits(PlanItemState::Partial(99), None, 99));
    }
}
