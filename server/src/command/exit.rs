//! `exit`: the slot is free before the goodbye is heard.

use quiver_protocol::{End as _, FrameKind, PlainEnd, Reply};
use quiver_transport::{CommandStream, StreamError};
use tracing::debug;

use crate::config::LAST_WORD_PATIENCE;
use crate::session::member::Context;

/// 1. client -> Exit  2. server -> Goodbye, Eof  3. either closes
pub(super) async fn leave(context: &Context, stream: &mut CommandStream) {
    context.leave();
    if let Err(error) = goodbye(stream).await {
        debug!("{} did not hear the goodbye: {error}", context.name);
    }
    context.gone();
}

async fn goodbye(stream: &mut CommandStream) -> Result<(), StreamError> {
    stream.reader.stop();
    stream.writer.write_frame(FrameKind::Reply, &Reply::Goodbye.encode()).await?;
    stream.writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
    stream.writer.delivered(LAST_WORD_PATIENCE).await;
    Ok(())
}
