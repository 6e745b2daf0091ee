//! `kept`: what a put would go on with, for whoever wants to know before.

use quiver_protocol::reply::ResumePoint;
use quiver_protocol::{EofPayload as _, FilePath, FrameKind, PlainEnd, Reply};
use quiver_transfer::Lane;
use quiver_transport::FrameWriter;

use super::context::ClientLabel;
use super::{CommandError, NextStep};
use crate::files::Files;

/// 1. client -> Kept  2. server -> Kept, Eof
pub(super) async fn answer(
    files: &Files,
    client: &ClientLabel,
    lane: Lane,
    path: FilePath,
    writer: &mut FrameWriter,
) -> Result<NextStep, CommandError> {
    let kept = {
        let _permit = client.limits.proofs.acquire().await;
        files.kept(&path, client.owner.clone(), &lane).await?
    };
    let have = (kept.length() > 0).then(|| kept.prefix());
    let reply = Reply::Kept(ResumePoint { path, have });
    writer.write_frame(FrameKind::Reply, &reply.encode()).await?;
    writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
    Ok(NextStep::Done)
}
