//! What becomes of files that differ from those at the target: as the policy says, or as is answered file by file.

use quiver_protocol::text::display_safe;

use crate::error::ClientError;
use crate::question::{Answer, Question};
use crate::reporter::Reporter;
use crate::request::ConflictPolicy;
use crate::shared_plan::Planner;
use crate::tree::{PlanItem, PlanItemState};

/// Settles what becomes of files that differ: as was decided, or as is answered now, file by file. What is not
/// decided stays so.
pub(crate) async fn decide(
    planner: &Planner,
    policy: ConflictPolicy,
    reporter: &Reporter,
    shown: impl Fn(&PlanItem) -> String,
) -> Result<(), ClientError> {
    match policy {
        ConflictPolicy::Decided(decision) => {
            return planner.work(move |plan| plan.decide_all(decision)).await;
        }
        ConflictPolicy::Ask if reporter.can_ask() => {}
        ConflictPolicy::Ask | ConflictPolicy::Fail => return Ok(()),
    }
    let mut number = 0;
    loop {
        let differing = planner.after_in(number, PlanItemState::Differs).await?;
        let Some(last) = differing.last() else { return Ok(()) };
        number = last.number;
        for item in differing {
            let path = display_safe(&shown(&item)).into_owned();
            let answer = reporter.ask(Question::Conflict { path }).await;
            // Without an answer the rest stays undecided.
            let Some(Answer::Conflict { decision, for_all }) = answer else { return Ok(()) };
            let number = item.number;
            planner
                .work(move |plan| {
                    plan.decide(number, decision)?;
                    if for_all { plan.decide_all(decision) } else { Ok(()) }
                })
                .await?;
            if for_all {
                return Ok(());
            }
        }
    }
}
