//! What the server says unasked: it opens a stream for each event.

use std::time::Duration;

use quiver_protocol::{EofPayload as _, Event, FrameKind, PlainEnd, limits};
use quiver_transport::{CommandStream, Connection, StreamError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::debug;

/// Events that wait to be looked at. Once as many wait, the server's streams do.
const WAITING: usize = 16;

/// How long the server may take to say an event whole.
const PATIENCE: Duration = Duration::from_secs(10);

/// The events of one connection.
#[derive(Debug)]
pub(crate) struct Events {
    arrived: mpsc::Receiver<Event>,
    /// Ends with this.
    _listener: JoinSet<()>,
}

impl Events {
    /// Listens from now on.
    #[must_use]
    pub(crate) fn listen(connection: &Connection) -> Self {
        let (sender, arrived) = mpsc::channel(WAITING);
        let mut listener = JoinSet::new();
        listener.spawn(listen(connection.clone(), sender));
        Self { arrived, _listener: listener }
    }

    /// The next event; `None` when none will come.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        self.arrived.recv().await
    }
}

async fn listen(connection: Connection, events: mpsc::Sender<Event>) {
    while let Ok(pair) = connection.accept_bi().await {
        match hear(pair.into()).await {
            // It was heard: that was all.
            Ok(Event::StillThere) => {}
            // Of a newer server: nothing for us.
            Ok(Event::Unknown) => debug!("an unknown event"),
            Ok(event) => {
                if events.send(event).await.is_err() {
                    return;
                }
            }
            Err(error) => debug!(%error, "an event that is none"),
        }
    }
}

/// Hears one event to its end, and has nothing to answer.
async fn hear(mut stream: CommandStream) -> Result<Event, StreamError> {
    stream.writer.finish();
    let reply = stream.reader.read_answer(limits::FRAME, PATIENCE).await?;
    let end = stream.reader.read_answer(limits::FRAME, PATIENCE).await?;
    if (reply.kind, end.kind) != (FrameKind::Reply, FrameKind::Eof) {
        return Err(crate::exchange::unexpected_reply("an event is a Reply and an Eof"));
    }
    PlainEnd::decode(&end.payload)?;
    stream.reader.read_end(PATIENCE).await?;
    Ok(Event::decode(&reply.payload)?)
}
