//! Partial files on the server, for a dry run.

use std::io;
use std::sync::Arc;

use quiver_protocol::text::display_safe;
use quiver_transfer::{DiskPool, Source};
use quiver_transport::StreamError;
use tokio::task::JoinSet;

use crate::error::{ClientError, is_transient};
use crate::exchange;
use crate::reconnecting::SessionHandle;
use crate::shared_plan::SharedPlan;
use crate::tasks::joined;
use crate::transfer_context::TransferContext;
use crate::tree::{ItemKind, PlanItem, PlanItemState, SourceRoot};
use crate::tree_transfer::{CONCURRENT_WEIGHT, LARGE_FILE_WEIGHT, is_small};
use crate::upload::UploadContext;

/// Queries at once. Each may take the server as long as hashing its partial file.
const CONCURRENT_QUERIES: u32 = CONCURRENT_WEIGHT / LARGE_FILE_WEIGHT;

/// Queries the partial file of each new large file, and sets the state of items that can be
/// resumed.
pub(super) async fn find_resumable(
    context: &UploadContext,
    plan: &SharedPlan,
    source_roots: &[Arc<SourceRoot>],
) -> Result<(), ClientError> {
    let disk_pool = DiskPool::default();
    let mut number = 0;
    loop {
        let new = plan.items_in_state_after(number, PlanItemState::New).await?;
        let Some(last) = new.last() else { return Ok(()) };
        number = last.number;
        // Small files have no partial files.
        let is_large =
            |item: &PlanItem| matches!(item.found.kind, ItemKind::File { .. }) && !is_small(item);
        let mut waiting = new.into_iter().filter(is_large);
        let mut running = JoinSet::new();
        let mut found = Vec::new();
        loop {
            while running.len() < CONCURRENT_QUERIES as usize
                && let Some(item) = waiting.next()
            {
                let (context, disk_pool) = (context.clone(), disk_pool.clone());
                let source_root = source_roots[item.found.source_root as usize].clone();
                running.spawn(async move {
                    let proved = proved_bytes(&context, &disk_pool, &item, source_root).await?;
                    Ok((item.number, proved))
                });
            }
            let Some(done) = running.join_next().await else { break };
            let (number, proved) = joined(done)??;
            if proved > 0 {
                found.push((number, PlanItemState::Partial(proved)));
            }
        }
        plan.with(move |plan| {
            found.iter().try_for_each(|(number, state)| plan.set_state(*number, state))
        })
        .await?;
    }
}

/// Returns how many bytes of a file need not be sent: the length of the partial file if its hash
/// matches the local file.
async fn proved_bytes(
    context: &UploadContext,
    disk_pool: &DiskPool,
    item: &PlanItem,
    source_root: Arc<SourceRoot>,
) -> Result<u64, ClientError> {
    let path = &item.found.target;
    let what = || format!("cannot query the partial file of {}", display_safe(path.as_str()));
    let query = |handle: SessionHandle| async move {
        match exchange::query_partial_upload(&handle.connection, path, handle.timeout).await {
            // The upload itself reports the reason. The folder may not exist yet, or the server
            // takes too long.
            Err(StreamError::Refused(refusal)) if !is_transient(refusal.code) => Ok(None),
            Err(StreamError::TimedOut(_)) => Ok(None),
            kept => kept,
        }
    };
    let TransferContext { session, retry_for, reporter, .. } = &context.shared;
    let partial = session.retry(*retry_for, reporter, what, query).await?;
    let Some(partial) = partial else { return Ok(0) };
    let source = item.found.source.clone();
    let source = disk_pool.run(move || Source::new(source_root.open_file(&source)?)).await;
    let source = source.unwrap_or_else(|ending| Err(io::Error::other(ending)));
    let proof = match source {
        Ok(source) => source.verify_prefix(partial, None).await,
        Err(error) => Err(error),
    };
    // A file that cannot be read is reported when it is to be sent.
    Ok(proof.ok().flatten().map_or(0, |proved| proved.length()))
}
