//! What the server says unasked: a stream of its own for each event.

use quiver_protocol::{End as _, Event, FrameKind, PlainEnd};
use quiver_transport::{CommandStream, Connection, StreamError};

/// Says an event, and hears nothing. Waits for as long as the client lets the server open no stream.
///
/// # Errors
/// [`StreamError`].
pub async fn say(connection: &Connection, event: &Event) -> Result<CommandStream, StreamError> {
    let mut stream = CommandStream::open(connection).await?;
    stream.writer.write_frame(FrameKind::Reply, &event.encode()).await?;
    stream.writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
    stream.reader.stop();
    Ok(stream)
}
