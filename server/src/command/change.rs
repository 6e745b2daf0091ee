//! `remove`, `rename`, `make_folder` and `space`: what those may do who may store files.

use std::fmt::Display;

use quiver_protocol::text::display_safe;
use quiver_protocol::{End as _, FilePath, FrameKind, MadeFolder, PlainEnd, Reply, Timestamp};
use quiver_transport::FrameWriter;
use tracing::info;

use super::{CommandError, Next};
use crate::session::member::Context;

/// 1. client -> Remove  2. server -> Eof
pub(super) async fn remove(
    context: &Context,
    path: FilePath,
    writer: &mut FrameWriter,
) -> Result<Next, CommandError> {
    let _permit = context.limits.changes.acquire().await;
    let removed = context.shared.files.remove(&path).await;
    removed.map_err(|error| CommandError::of_files(context, error))?;
    log(context, format_args!("removed {}", display_safe(path.as_str())));
    done(writer, &PlainEnd {}.encode()).await
}

/// 1. client -> Rename  2. server -> Eof
pub(super) async fn rename(
    context: &Context,
    path: FilePath,
    to: FilePath,
    replace: bool,
    writer: &mut FrameWriter,
) -> Result<Next, CommandError> {
    let _permit = context.limits.renames.acquire().await;
    let renamed = context.shared.files.rename(&path, &to, replace).await;
    renamed.map_err(|error| CommandError::of_files(context, error))?;
    let (path, to) = (display_safe(path.as_str()), display_safe(to.as_str()));
    log(context, format_args!("renamed {path} to {to}"));
    done(writer, &PlainEnd {}.encode()).await
}

/// 1. client -> MakeFolder  2. server -> Eof {created}
pub(super) async fn make_folder(
    context: &Context,
    path: FilePath,
    modified: Option<Timestamp>,
    writer: &mut FrameWriter,
) -> Result<Next, CommandError> {
    let _permit = context.limits.changes.acquire().await;
    let made = context.shared.files.make_folder(&path, modified, context.owner()).await;
    let created = made.map_err(|error| CommandError::of_files(context, error))?;
    if created {
        log(context, format_args!("made the folder {}", display_safe(path.as_str())));
    }
    done(writer, &MadeFolder { created }.encode()).await
}

/// 1. client -> Space  2. server -> Space, Eof
pub(super) async fn space(
    context: &Context,
    writer: &mut FrameWriter,
) -> Result<Next, CommandError> {
    let space = context.shared.files.space(context.owner()).await;
    let space = space.map_err(|error| CommandError::of_files(context, error))?;
    writer.write_frame(FrameKind::Reply, &Reply::Space(space).encode()).await?;
    done(writer, &PlainEnd {}.encode()).await
}

async fn done(writer: &mut FrameWriter, end: &[u8]) -> Result<Next, CommandError> {
    writer.end(FrameKind::Eof, end).await?;
    Ok(Next::Done)
}

fn log(context: &Context, what: impl Display) {
    info!("{what} for Client {}: {}", context.number, context.name);
}
