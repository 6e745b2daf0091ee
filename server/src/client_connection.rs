//! A client's connection as the rest of the server uses it: its key, its address, the delivery of events, and whether
//! the client is alive. Serves no streams, and knows no client names.

use std::net::SocketAddr;
use std::time::Duration;

use quiver_protocol::{EofPayload as _, Event, Fingerprint, FrameKind, PlainEnd};
use quiver_transport::{CommandStream, Connection, StreamError, liveness, trust};
use thiserror::Error;
use tokio::time::timeout;

/// How long a client may take to acknowledge an event.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection to a client.
#[derive(Debug, Clone)]
pub struct ClientConnection {
    connection: Connection,
    key: Option<Fingerprint>,
}

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
        let key = trust::peer_fingerprint(&connection);
        Self { connection, key }
    }

    /// The fingerprint of the client's certificate, whose key it holds; `None` without a certificate.
    #[must_use]
    pub fn key(&self) -> Option<Fingerprint> {
        self.key
    }

    /// The address from which the client's packets come now. It changes when the client's network does (RFC 9000,
    /// section 9).
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        canonical_address(self.connection.remote_address())
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
        liveness::is_alive(&self.connection, self.send(&Event::StillThere)).await
    }

    /// Sends an event. Waits without a limit while the client does not let the server open a stream.
    async fn send(&self, event: &Event) -> Result<CommandStream, StreamError> {
        let mut stream = CommandStream::open(&self.connection).await?;
        stream.writer.write_frame(FrameKind::Reply, &event.encode()).await?;
        stream.writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
        stream.reader.stop();
        Ok(stream)
    }
}

/// The address of a client, as IPv4 where a dual-stack socket shows an IPv4-mapped IPv6 address.
#[must_use]
pub fn canonical_address(address: SocketAddr) -> SocketAddr {
    (address.ip().to_canonical(), address.port()).into()
}
