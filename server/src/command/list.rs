//! `list`: the entries of a folder that `get` would serve.

use quiver_protocol::FolderPath;
use quiver_transfer::list;
use quiver_transport::FrameWriter;

use super::context::Context;
use super::{CommandError, NextStep};

/// Initial memory for a list's names, in bytes: enough for most folders.
const LIST_MEMORY: usize = 128 * 1024;

/// 1. client -> List  2. server -> Entry*, Eof {entries, not_served}
pub(super) async fn run(
    context: &Context,
    path: FolderPath,
    writer: &mut FrameWriter,
) -> Result<NextStep, CommandError> {
    let _permit = context.client.limits.long_responses.acquire().await;
    let memory = context.buffers().reserve(LIST_MEMORY).await;
    let listing = context.files().list(&path, context.list_lane(), memory).await?;
    list::serve(listing, writer).await?;
    Ok(NextStep::Done)
}
