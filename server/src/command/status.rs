//! `status`: who is here and who was.

use quiver_protocol::{End as _, FrameKind, PlainEnd, Reply};
use quiver_transport::FrameWriter;

use super::{CommandError, Next};
use crate::session::member::Context;

/// 1. client -> Status  2. server -> Client*, Eof
pub(super) async fn answer(
    context: &Context,
    writer: &mut FrameWriter,
) -> Result<Next, CommandError> {
    for row in context.shared.history.rows() {
        writer.write_frame(FrameKind::Reply, &Reply::Client(row).encode()).await?;
    }
    writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
    Ok(Next::Done)
}
