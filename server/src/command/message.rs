//! `message`: acknowledges a client's text.

use quiver_protocol::{EofPayload as _, FrameKind, PlainEnd, Reply};
use quiver_transport::FrameWriter;

use super::{CommandError, NextStep};

/// 1. client -> Message  2. server -> Text, Eof
pub(super) async fn run(text: String, writer: &mut FrameWriter) -> Result<NextStep, CommandError> {
    let reply = Reply::Text { text: text + " ACK" };
    writer.write_frame(FrameKind::Reply, &reply.encode()).await?;
    writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
    Ok(NextStep::Done)
}
