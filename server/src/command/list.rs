//! `list`: what is in a folder, as far as get serves it.

use quiver_protocol::{End as _, FolderPath, FrameKind, ListEnd, Reply};
use quiver_transport::FrameWriter;

use super::context::Context;
use super::{CommandError, Next};

/// Memory for a list's names at first, in bytes: what most folders need.
const LIST_MEMORY: usize = 128 * 1024;

/// 1. client -> List  2. server -> Entry*, Eof {entries, not_served}
pub(super) async fn answer(
    context: &Context,
    path: FolderPath,
    writer: &mut FrameWriter,
) -> Result<Next, CommandError> {
    let failed = |error| CommandError::of_files(context.metrics(), error);
    let _permit = context.client.limits.long_answers.acquire().await;
    let memory = context.buffers().reserve(LIST_MEMORY).await;
    let listed = context.files().list(&path, context.list_lane(), memory).await;
    let mut listing = listed.map_err(failed)?;
    let mut entries = 0;
    loop {
        let batch = listing.next().await.map_err(failed)?;
        if batch.is_empty() {
            break;
        }
        entries += batch.len() as u64;
        for entry in batch {
            writer.write_frame(FrameKind::Reply, &Reply::Entry(entry).encode()).await?;
        }
    }
    let end = ListEnd { entries, not_served: listing.not_served() };
    writer.end(FrameKind::Eof, &end.encode()).await?;
    Ok(Next::Done)
}
