//! Comparison of files of the same size by their hash. No content is transferred.

use std::fs::File;
use std::io;

use quiver_protocol::text::display_safe;
use quiver_protocol::{ContentPrefix, FilePath};
use quiver_transfer::DiskPool;
use quiver_transfer::Source;
use tokio::task::JoinSet;

use super::{CONCURRENT_WEIGHT, TransferOperations};
use crate::error::ClientError;
use crate::exchange::{self, GetError};
use crate::outcomes::affects_all;
use crate::reconnecting::SessionHandle;
use crate::shared_plan::SharedPlan;
use crate::tasks::joined;
use crate::transfer_context::TransferContext;
use crate::tree::{PlanItem, PlanItemState};

/// Compares all files of the same size, and sets their state to [`PlanItemState::Same`] or
/// [`PlanItemState::Differs`].
pub(crate) async fn compare_same_size<T: TransferOperations>(
    operations: &T,
    plan: &SharedPlan,
) -> Result<(), ClientError> {
    let disk_pool = DiskPool::default();
    let mut number = 0;
    loop {
        let same_size = plan.items_in_state_after(number, PlanItemState::SameSize).await?;
        let Some(last) = same_size.last() else { return Ok(()) };
        number = last.number;
        let mut waiting = same_size.into_iter();
        let mut running = JoinSet::new();
        let mut found = Vec::with_capacity(waiting.len());
        loop {
            while running.len() < CONCURRENT_WEIGHT as usize
                && let Some(item) = waiting.next()
            {
                let (operations, disk_pool) = (operations.clone(), disk_pool.clone());
                running.spawn(async move {
                    match compare_item(&operations, &disk_pool, &item).await {
                        Ok(same) => Ok((item.number, same)),
                        Err(failure) if affects_all(&failure) => Err(failure),
                        // A file that cannot be read, or was removed, is reported when it is to be
                        // transferred.
                        Err(_) => Ok((item.number, None)),
                    }
                });
            }
            let Some(done) = running.join_next().await else { break };
            found.push(joined(done)??);
        }
        plan.with(move |plan| {
            found.iter().try_for_each(|(number, same)| match same {
                Some(content) => plan.set_same(*number, content.blake3),
                None => plan.set_state(*number, &PlanItemState::Differs),
            })
        })
        .await?;
    }
}

async fn compare_item<T: TransferOperations>(
    operations: &T,
    disk_pool: &DiskPool,
    item: &PlanItem,
) -> Result<Option<ContentPrefix>, ClientError> {
    let (reader, file) = (operations.clone(), item.clone());
    let open = move || reader.open_local(&file);
    compare_content(operations.context(), disk_pool, operations.server_path(item), open).await
}

/// Compares a local file with the server's file. Returns the size and the hash if both have the
/// same content.
///
/// # Errors
/// [`ClientError`] if either file cannot be read.
pub(crate) async fn compare_content(
    context: &TransferContext,
    disk_pool: &DiskPool,
    path: &FilePath,
    open: impl FnOnce() -> io::Result<File> + Send + 'static,
) -> Result<Option<ContentPrefix>, ClientError> {
    let what = || format!("cannot compare {}", display_safe(path.as_str()));
    let failed = |source| ClientError::System { what: "cannot compare a file", source };
    let source = disk_pool.run(move || Source::new(open()?)?.load()).await;
    let source = source.unwrap_or_else(|ending| Err(io::Error::other(ending))).map_err(failed)?;
    let Some(whole) = source.hash_all().await.map_err(failed)? else { return Ok(None) };
    let length = whole.length();
    let whole = &whole;
    let compare = |handle: SessionHandle| async move {
        // The semaphore is never closed.
        let _permit = handle.content_permits.acquire().await;
        let prefix = Some(whole.prefix());
        let same = async {
            let content = exchange::get(&handle.connection, path, prefix, handle.timeout).await?;
            if content.size() != length || content.offset() != length {
                return Ok(false);
            }
            content.verify_existing(whole.clone()).await.map(|_| true)
        };
        match same.await {
            Ok(is_same) => Ok(is_same.then(|| whole.prefix())),
            Err(GetError::Stream(error)) => Err(error),
            // The server sent something else than it announced.
            Err(_) => Ok(None),
        }
    };
    context.session.retry(context.retry_for, &context.reporter, what, compare).await
}
