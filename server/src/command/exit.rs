//! `exit`: the client's other commands end, then its slot is free, then it hears the goodbye.

use quiver_protocol::{End as _, FrameKind, PlainEnd, Reply};
use quiver_transport::{CommandStream, StreamError};

use crate::config::LAST_WORD_PATIENCE;

/// 1. client -> Exit  2. server -> Goodbye, Eof  3. either closes
///
/// The second step, for a connection whose commands have ended and whose share of a slot was given back.
///
/// # Errors
/// [`StreamError`], where the client did not hear it.
pub async fn say_goodbye(mut stream: CommandStream) -> Result<(), StreamError> {
    stream.reader.stop();
    stream.writer.write_frame(FrameKind::Reply, &Reply::Goodbye.encode()).await?;
    stream.writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
    stream.writer.delivered(LAST_WORD_PATIENCE).await;
    Ok(())
}
