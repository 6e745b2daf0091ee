//! `exit`: the connection's other commands end, then its share of the slot is released, then the
//! server sends goodbye.

use parking_lot::Mutex;
use quiver_protocol::{EofPayload as _, FrameKind, PlainEnd, Reply};
use quiver_transport::{CommandStream, StreamError};
use tokio::sync::Notify;

use crate::config::FINAL_REPLY_TIMEOUT;

/// The client's `exit` command: set by the command, awaited by the session.
#[derive(Debug, Default)]
pub struct ExitRequest {
    /// The stream on which the client waits for the goodbye.
    stream: Mutex<Option<CommandStream>>,
    requested: Notify,
}

impl ExitRequest {
    /// Records the client's `exit` on this stream.
    pub fn request(&self, stream: CommandStream) {
        *self.stream.lock() = Some(stream);
        self.requested.notify_one();
    }

    /// Waits for the client's `exit`; returns its stream.
    pub async fn requested(&self) -> Option<CommandStream> {
        self.requested.notified().await;
        self.stream.lock().take()
    }
}

/// 1. client -> Exit  2. server -> Goodbye, Eof  3. either closes
///
/// The second step, for a connection whose commands have ended and whose share of a slot was
/// released.
///
/// # Errors
/// [`StreamError`] if the goodbye could not be written.
pub async fn send_goodbye(mut stream: CommandStream) -> Result<(), StreamError> {
    stream.reader.stop();
    stream.writer.write_frame(FrameKind::Reply, &Reply::Goodbye.encode()).await?;
    stream.writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
    stream.writer.delivered(FINAL_REPLY_TIMEOUT).await;
    Ok(())
}
