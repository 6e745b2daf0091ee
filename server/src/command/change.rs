//! `remove`, `rename`, `make_folder` and `space`: the small commands that need the upload
//! permission.

use std::fmt::Display;

use quiver_protocol::text::display_safe;
use quiver_protocol::{
    EofPayload as _, FilePath, FolderPath, FrameKind, MakeFolderEnd, PlainEnd, Reply, Timestamp,
};
use quiver_transport::FrameWriter;
use tracing::info;

use super::context::RequestingClient;
use super::{CommandError, NextStep};
use crate::files::Files;

/// 1. client -> Remove  2. server -> Eof
pub(super) async fn remove(
    files: &Files,
    client: &RequestingClient,
    path: FilePath,
    writer: &mut FrameWriter,
) -> Result<NextStep, CommandError> {
    let _permit = client.limits.changes.acquire().await;
    files.remove(&path).await?;
    log(client, format_args!("removed {}", display_safe(path.as_str())));
    finish(writer, &PlainEnd {}.encode()).await
}

/// 1. client -> Rename  2. server -> Eof
pub(super) async fn rename(
    files: &Files,
    client: &RequestingClient,
    path: FilePath,
    to: FilePath,
    replace: bool,
    writer: &mut FrameWriter,
) -> Result<NextStep, CommandError> {
    let _permit = client.limits.renames.acquire().await;
    files.rename(&path, &to, replace).await?;
    let (path, to) = (display_safe(path.as_str()), display_safe(to.as_str()));
    log(client, format_args!("renamed {path} to {to}"));
    finish(writer, &PlainEnd {}.encode()).await
}

/// 1. client -> MakeFolder  2. server -> Eof {created}
pub(super) async fn make_folder(
    files: &Files,
    client: &RequestingClient,
    path: FilePath,
    modified: Option<Timestamp>,
    writer: &mut FrameWriter,
) -> Result<NextStep, CommandError> {
    let _permit = client.limits.changes.acquire().await;
    let created = files.make_folder(&path, modified, client.owner.clone()).await?;
    if created {
        log(client, format_args!("made the folder {}", display_safe(path.as_str())));
    }
    finish(writer, &MakeFolderEnd { created }.encode()).await
}

/// 1. client -> Space  2. server -> Space, Eof
pub(super) async fn space(
    files: &Files,
    client: &RequestingClient,
    path: FolderPath,
    writer: &mut FrameWriter,
) -> Result<NextStep, CommandError> {
    let space = files.space(path, client.owner.clone()).await?;
    writer.write_frame(FrameKind::Reply, &Reply::Space(space).encode()).await?;
    finish(writer, &PlainEnd {}.encode()).await
}

async fn finish(writer: &mut FrameWriter, end: &[u8]) -> Result<NextStep, CommandError> {
    writer.end(FrameKind::Eof, end).await?;
    Ok(NextStep::Done)
}

fn log(client: &RequestingClient, action: impl Display) {
    info!("{action} for {client}");
}
