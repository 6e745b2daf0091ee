//! `exit`: the client's other commands end, then its slot is free, then it hears the goodbye.

use parking_lot::Mutex;
use quiver_protocol::{EofPayload as _, FrameKind, PlainEnd, Reply};
use quiver_transport::{CommandStream, StreamError};
use tokio::sync::Notify;

use crate::config::LAST_WORD_PATIENCE;

/// Whether the client said exit: set by the command, awaited by the session.
#[derive(Debug, Default)]
pub struct ExitRequest {
    /// The stream on which the client waits for a goodbye.
    stream: Mutex<Option<CommandStream>>,
    requested: Notify,
}

impl ExitRequest {
    /// The client said exit on this stream.
    pub fn request(&self, stream: CommandStream) {
        *self.stream.lock() = Some(stream);
        self.requested.notify_one();
    }

    /// Waits until the client says exit. The stream on which it did.
    pub async fn requested(&self) -> Option<CommandStream> {
        self.requested.notified().await;
        self.stream.lock().take()
    }
}

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
