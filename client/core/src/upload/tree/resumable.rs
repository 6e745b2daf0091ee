//! What the server has kept of files that were broken off: for a plan that is only shown.

use std::io;
use std::sync::Arc;

use quiver_protocol::text::display_safe;
use quiver_transfer::{DiskPool, Source};
use quiver_transport::StreamError;
use tokio::task::JoinSet;

use crate::error::{ClientError, is_passing};
use crate::exchange;
use crate::planner::Planner;
use crate::reconnecting::SessionHandle;
use crate::tasks::joined;
use crate::transfer_context::TransferContext;
use crate::tree::{ItemKind, PlanItem, PlanItemState, SourceRoot};
use crate::tree_transfer::{AT_ONCE, LARGE_COUNTS_FOR, is_small};
use crate::upload::UploadContext;

/// Questions at once: each may take the server as long as reading what it has kept.
const LARGE_AT_ONCE: u32 = AT_ONCE / LARGE_COUNTS_FOR;

/// Asks for each file that is not there, and proves that it begins so.
pub(super) async fn look(
    context: &UploadContext,
    planner: &Planner,
    source_roots: &[Arc<SourceRoot>],
) -> Result<(), ClientError> {
    let disk_pool = DiskPool::default();
    let mut number = 0;
    loop {
        let new = planner.after_in(number, PlanItemState::New).await?;
        let Some(last) = new.last() else { return Ok(()) };
        number = last.number;
        // Nothing is kept of small ones.
        let is_large =
            |item: &PlanItem| matches!(item.found.kind, ItemKind::File { .. }) && !is_small(item);
        let mut waiting = new.into_iter().filter(is_large);
        let mut running = JoinSet::new();
        let mut found = Vec::new();
        loop {
            while running.len() < LARGE_AT_ONCE as usize
                && let Some(item) = waiting.next()
            {
                let (context, disk_pool) = (context.clone(), disk_pool.clone());
                let source_root = source_roots[item.found.source_root as usize].clone();
                running.spawn(async move {
                    let begun = begun(&context, &disk_pool, &item, source_root).await?;
                    Ok((item.number, begun))
                });
            }
            let Some(done) = running.join_next().await else { break };
            let (number, begun) = joined(done)??;
            if begun > 0 {
                found.push((number, PlanItemState::Begun(begun)));
            }
        }
        planner
            .work(move |plan| found.iter().try_for_each(|(number, state)| plan.set(*number, state)))
            .await?;
    }
}

/// Bytes of a file that need not be sent.
async fn begun(
    context: &UploadContext,
    disk_pool: &DiskPool,
    item: &PlanItem,
    source_root: Arc<SourceRoot>,
) -> Result<u64, ClientError> {
    let path = &item.found.target;
    let what = || format!("cannot ask for {}", display_safe(path.as_str()));
    let ask = |handle: SessionHandle| async move {
        match exchange::kept(&handle.connection, path, handle.patience).await {
            // The put itself says why, as where its folder is not there yet, or takes its time.
            Err(StreamError::Refused(refusal)) if !is_passing(refusal.code) => Ok(None),
            Err(StreamError::Silent(_)) => Ok(None),
            kept => kept,
        }
    };
    let TransferContext { session, retry_for, reporter, .. } = &context.shared;
    let have = session.retry(*retry_for, reporter, what, ask).await?;
    let Some(have) = have else { return Ok(0) };
    let source = item.found.source.clone();
    let source = disk_pool.run(move || Source::new(source_root.read(&source)?)).await;
    let source = source.unwrap_or_else(|ending| Err(io::Error::other(ending)));
    let proved = match source {
        Ok(source) => source.verify_prefix(have, None).await,
        Err(error) => Err(error),
    };
    // What cannot be read is told when it is to move.
    Ok(proved.ok().flatten().map_or(0, |proved| proved.length()))
}
