//! Whether files of the same size have the same content: proved by their hash, with nothing moved.

use std::fs::File;
use std::io;

use quiver_protocol::FilePath;
use quiver_protocol::text::display_safe;
use quiver_transfer::DiskPool;
use quiver_transfer::Source;
use tokio::task::JoinSet;

use super::{AT_ONCE, TreeTransfer};
use crate::error::ClientError;
use crate::exchange::{self, GetError};
use crate::outcomes::is_shared;
use crate::planner::Planner;
use crate::reconnecting::SessionHandle;
use crate::tasks::joined;
use crate::transfer_context::TransferContext;
use crate::tree::{PlanItem, PlanItemState};

/// Settles what is the same and what differs.
pub(crate) async fn compare<W: TreeTransfer>(
    way: &W,
    planner: &Planner,
) -> Result<(), ClientError> {
    let disk_pool = DiskPool::default();
    let mut number = 0;
    loop {
        let alike = planner.after_in(number, PlanItemState::Alike).await?;
        let Some(last) = alike.last() else { return Ok(()) };
        number = last.number;
        let mut waiting = alike.into_iter();
        let mut running = JoinSet::new();
        let mut found = Vec::with_capacity(waiting.len());
        loop {
            while running.len() < AT_ONCE as usize
                && let Some(item) = waiting.next()
            {
                let (way, disk_pool) = (way.clone(), disk_pool.clone());
                running.spawn(async move {
                    let state = match is_same(&way, &disk_pool, &item).await {
                        Ok(true) => PlanItemState::Same,
                        Ok(false) => PlanItemState::Differs,
                        Err(failure) if is_shared(&failure) => return Err(failure),
                        // What cannot be read, or is gone, is told when it is to move.
                        Err(_) => PlanItemState::Differs,
                    };
                    Ok((item.number, state))
                });
            }
            let Some(done) = running.join_next().await else { break };
            found.push(joined(done)??);
        }
        planner
            .work(move |plan| found.iter().try_for_each(|(number, state)| plan.set(*number, state)))
            .await?;
    }
}

async fn is_same<W: TreeTransfer>(
    way: &W,
    disk_pool: &DiskPool,
    item: &PlanItem,
) -> Result<bool, ClientError> {
    let (reader, read) = (way.clone(), item.clone());
    let read = move || reader.read(&read);
    is_same_as(way.context(), disk_pool, way.remote(item), read).await
}

/// Whether a file here has the content of one of the server's.
///
/// # Errors
/// [`ClientError`] where either cannot be read.
pub(crate) async fn is_same_as(
    context: &TransferContext,
    disk_pool: &DiskPool,
    path: &FilePath,
    read: impl FnOnce() -> io::Result<File> + Send + 'static,
) -> Result<bool, ClientError> {
    let what = || format!("cannot compare {}", display_safe(path.as_str()));
    let disk = |source| ClientError::System { what: "cannot compare a file", source };
    let source = disk_pool.run(move || Source::new(read()?)?.load()).await;
    let source = source.unwrap_or_else(|ending| Err(io::Error::other(ending))).map_err(disk)?;
    let Some(whole) = source.hash_all().await.map_err(disk)? else { return Ok(false) };
    let length = whole.length();
    let whole = &whole;
    let same = |handle: SessionHandle| async move {
        // The semaphore is never closed.
        let _permit = handle.content.acquire().await;
        let have = Some(whole.prefix());
        let same = async {
            let content = exchange::get(&handle.connection, path, have, handle.patience).await?;
            if content.size() != length || content.offset() != length {
                return Ok(false);
            }
            content.verify_existing(whole.clone()).await.map(|_| true)
        };
        match same.await {
            Ok(same) => Ok(same),
            Err(GetError::Stream(error)) => Err(error),
            // What it sends is not what it says.
            Err(_) => Ok(false),
        }
    };
    context.session.retry(context.retry_for, &context.reporter, what, same).await
}
