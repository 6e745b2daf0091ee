//! `list`: what is in a folder, as far as get serves it.

use quiver_protocol::{End as _, FolderPath, FrameKind, ListEnd, Reply};
use quiver_transport::FrameWriter;

use super::{CommandError, Next};
use crate::session::member::Context;

/// 1. client -> List  2. server -> Entry*, Eof {entries, not_served}
pub(super) async fn answer(
    context: &Context,
    path: FolderPath,
    writer: &mut FrameWriter,
) -> Result<Next, CommandError> {
    let listed = context.shared.files.list(&path).await;
    let listing = listed.map_err(|error| CommandError::of_files(context, error))?;
    let entries = listing.entries.len() as u64;
    for entry in listing.entries {
        writer.write_frame(FrameKind::Reply, &Reply::Entry(entry).encode()).await?;
    }
    let end = ListEnd { entries, not_served: listing.not_served };
    writer.end(FrameKind::Eof, &end.encode()).await?;
    Ok(Next::Done)
}
