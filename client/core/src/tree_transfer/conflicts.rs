//! Decisions about files that differ from the existing ones: by policy, or by asking for each file.

use quiver_protocol::text::display_safe;

use crate::error::ClientError;
use crate::question::{Answer, Question};
use crate::reporter::Reporter;
use crate::request::ConflictPolicy;
use crate::shared_plan::SharedPlan;
use crate::tree::{PlanItem, PlanItemState};

/// Decides what to do with files that differ, by policy or by asking the user file by file. Files
/// without an answer stay undecided.
pub(crate) async fn resolve_conflicts(
    shared_plan: &SharedPlan,
    policy: ConflictPolicy,
    reporter: &Reporter,
    display_name: impl Fn(&PlanItem) -> String,
) -> Result<(), ClientError> {
    match policy {
        ConflictPolicy::Decided(decision) => {
            return shared_plan.with(move |plan| plan.decide_all(decision)).await;
        }
        ConflictPolicy::Ask if reporter.can_ask() => {}
        ConflictPolicy::Ask | ConflictPolicy::Fail => return Ok(()),
    }
    let mut number = 0;
    loop {
        let differing = shared_plan.items_in_state_after(number, PlanItemState::Differs).await?;
        let Some(last) = differing.last() else { return Ok(()) };
        number = last.number;
        for item in differing {
            let path = display_safe(&display_name(&item)).into_owned();
            let answer = reporter.ask(Question::Conflict { path }).await;
            // Without an answer the rest stays undecided.
            let Some(Answer::Conflict { decision, for_all }) = answer else { return Ok(()) };
            let number = item.number;
            shared_plan
                .with(move |plan| {
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
