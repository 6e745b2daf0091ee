//! `message`: what is said is acknowledged.

use quiver_protocol::{End as _, FrameKind, PlainEnd, Reply};
use quiver_transport::FrameWriter;

use super::{CommandError, Next};

/// 1. client -> Message  2. server -> Text, Eof
pub(super) async fn answer(text: String, writer: &mut FrameWriter) -> Result<Next, CommandError> {
    let reply = Reply::Text { text: text + " ACK" };
    writer.write_frame(FrameKind::Reply, &reply.encode()).await?;
    writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
    Ok(Next::Done)
}
