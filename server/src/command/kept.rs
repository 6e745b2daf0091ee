//! `kept`: tells a client, before its put, how much of an interrupted upload it can resume.

use quiver_protocol::reply::ResumePoint;
use quiver_protocol::{EofPayload as _, FilePath, FrameKind, PlainEnd, Reply};
use quiver_transfer::Lane;
use quiver_transport::FrameWriter;

use super::context::RequestingClient;
use super::{CommandError, NextStep};
use crate::files::Files;

/// 1. client -> Kept  2. server -> Kept, Eof
pub(super) async fn run(
    files: &Files,
    client: &RequestingClient,
    lane: Lane,
    path: FilePath,
    writer: &mut FrameWriter,
) -> Result<NextStep, CommandError> {
    let hashed = {
        let _permit = client.limits.proofs.acquire().await;
        files.hash_resumable(&path, client.owner.clone(), &lane).await?
    };
    let have = (hashed.length() > 0).then(|| hashed.prefix());
    let reply = Reply::Kept(ResumePoint { path, have });
    writer.write_frame(FrameKind::Reply, &reply.encode()).await?;
    writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
    Ok(NextStep::Done)
}
