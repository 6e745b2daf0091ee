//! The events that the server sends, each on a stream that the server opens.

use std::time::Duration;

use quiver_protocol::{EofPayload as _, Event, FrameKind, PlainEnd, limits};
use quiver_transport::{CommandStream, Connection, StreamError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::debug;

/// Capacity of the queue of events. While it is full, the client accepts no more of the server's streams.
const QUEUE_CAPACITY: usize = 16;

/// Timeout of each read of an event.
const EVENT_TIMEOUT: Duration = Duration::from_secs(10);

/// The events of one connection.
#[derive(Debug)]
pub(crate) struct ServerEvents {
    received: mpsc::Receiver<Event>,
    /// Aborts the task when this is dropped.
    _listener: JoinSet<()>,
}

impl ServerEvents {
    /// Receives the events of a connection from now on.
    #[must_use]
    pub(crate) fn receive(connection: &Connection) -> Self {
        let (sender, received) = mpsc::channel(QUEUE_CAPACITY);
        let mut listener = JoinSet::new();
        listener.spawn(accept_events(connection.clone(), sender));
        Self { received, _listener: listener }
    }

    /// The next event; `None` once the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        self.received.recv().await
    }
}

async fn accept_events(connection: Connection, events: mpsc::Sender<Event>) {
    while let Ok(pair) = connection.accept_bi().await {
        match read_event(pair.into()).await {
            // Reading it to its end has answered it.
            Ok(Event::StillThere) => {}
            // From a newer server.
            Ok(Event::Unknown) => debug!("the server sent an unknown event"),
            Ok(event) => {
                if events.send(event).await.is_err() {
                    return;
                }
            }
            Err(error) => debug!(%error, "the server sent an invalid event"),
        }
    }
}

/// Reads one event to the end of its stream, and sends nothing back.
async fn read_event(mut stream: CommandStream) -> Result<Event, StreamError> {
    stream.writer.finish();
    let reply = stream.reader.read_response(limits::FRAME, EVENT_TIMEOUT).await?;
    let end = stream.reader.read_response(limits::FRAME, EVENT_TIMEOUT).await?;
    if (reply.kind, end.kind) != (FrameKind::Reply, FrameKind::Eof) {
        return Err(crate::exchange::unexpected_reply("expected a Reply and an Eof"));
    }
    PlainEnd::decode(&end.payload)?;
    stream.reader.read_end(EVENT_TIMEOUT).await?;
    Ok(Event::decode(&reply.payload)?)
}
