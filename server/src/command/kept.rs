//! `kept`: what a put would go on with, for whoever wants to know before.

use quiver_protocol::reply::Ready;
use quiver_protocol::{End as _, FilePath, FrameKind, PlainEnd, Reply};
use quiver_transport::FrameWriter;

use super::{CommandError, Next};
use crate::session::member::Context;

/// 1. client -> Kept  2. server -> Kept, Eof
pub(super) async fn answer(
    context: &Context,
    path: FilePath,
    writer: &mut FrameWriter,
) -> Result<Next, CommandError> {
    let kept = {
        let _permit = context.limits.proofs.acquire().await;
        let lane = context.proof_lane();
        let kept = context.shared.files.kept(&path, context.owner(), &lane).await;
        kept.map_err(|error| CommandError::of_files(context, error))?
    };
    let have = (kept.length() > 0).then(|| kept.prefix());
    let reply = Reply::Kept(Ready { path, have });
    writer.write_frame(FrameKind::Reply, &reply.encode()).await?;
    writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
    Ok(Next::Done)
}
