//! A client's connection as the rest of the server uses it: it delivers events, and tells whether the client is
//! alive. Serves no streams, and knows no client names.

use std::time::Duration;

use quiver_protocol::{EofPayload as _, Event, FrameKind, PlainEnd};
use quiver_transport::{CommandStream, Connection, StreamError, liveness};
use thiserror::Error;
use tokio::time::timeout;

/// How long a client may take to acknowledge an event.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection to a client.
#[derive(Debug, Clone)]
pub struct ClientConnection(Connection);

/// Why an event did not reach a client.
#[derive(Debug, Error)]
pub enum DeliveryError {
    /// No connection has this id, or it has ended.
    #[error("no such connection")]
    NotConnected,
    /// The client did not acknowledge the event in time, or does not let the server open a stream.
    #[error("not acknowledged within {} seconds", DELIVERY_TIMEOUT.as_secs())]
    TimedOut,
    /// The connection or the stream failed.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl ClientConnection {
    /// Wraps the connection of a client.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self(connection)
    }

    /// Sends an event on a stream of its own, and waits until the client has acknowledged it. Takes 2 seconds at
    /// most.
    ///
    /// # Errors
    /// [`DeliveryError`], never [`DeliveryError::NotConnected`].
    pub async fn deliver(&self, event: &Event) -> Result<(), DeliveryError> {
        let deliver = async {
            let mut stream = self.send(event).await?;
            Ok(stream.writer.delivered(DELIVERY_TIMEOUT).await)
        };
        match timeout(DELIVERY_TIMEOUT, deliver).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) | Err(_) => Err(DeliveryError::TimedOut),
            Ok(Err(error)) => Err(DeliveryError::Stream(error)),
        }
    }

    /// Whether the client still acknowledges packets. Takes some seconds where it does not.
    pub async fn is_alive(&self) -> bool {
        liveness::is_alive(&self.0, self.send(&Event::StillThere)).await
    }

    /// Sends an event. Waits without a limit while the client does not let the server open a stream.
    async fn send(&self, event: &Event) -> Result<CommandStream, StreamError> {
        let mut stream = CommandStream::open(&self.0).await?;
        stream.writer.write_frame(FrameKind::Reply, &event.encode()).await?;
        stream.writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
        stream.reader.stop();
        Ok(stream)
    }
}
