//! A request to the other client, and the frames that follow on its stream in both directions.

use std::time::Duration;

use quiver_protocol::{EofPayload, FrameError, FrameKind, PeerReply, PeerRequest, limits};
use quiver_transport::{Channel, CommandStream, ConnectionEnd, FrameReader, StreamError};
use tokio::time::timeout;

/// The stream of a request between two clients.
#[derive(Debug)]
pub(super) struct Conversation {
    /// The stream.
    pub(super) stream: CommandStream,
    /// The connection of the stream.
    pub(super) channel: Channel,
    idle_timeout: Duration,
}

/// The next part of a response.
#[derive(Debug)]
pub(super) enum PeerPart<E> {
    /// A reply; more may follow.
    Reply(PeerReply),
    /// The end of the response.
    End(E),
}

impl Conversation {
    /// Opens a stream and sends the request. The other client must not be silent for longer than `idle_timeout`.
    pub(super) async fn start(
        channel: &Channel,
        request: &PeerRequest,
        idle_timeout: Duration,
    ) -> Result<Self, StreamError> {
        let send = async {
            let mut stream = channel.open().await?;
            stream.writer.write_frame(FrameKind::Request, &request.encode()).await?;
            stream.writer.flush().await?;
            Ok::<_, StreamError>(stream)
        };
        let sent = timeout(idle_timeout, send).await;
        let sent = sent.map_err(|_| StreamError::TimedOut(idle_timeout))?;
        let stream = sent.map_err(as_loss)?;
        Ok(Self { stream, channel: channel.clone(), idle_timeout })
    }

    /// The conversation of a request that the other client has sent on this connection.
    pub(super) fn answering(
        stream: CommandStream,
        channel: Channel,
        idle_timeout: Duration,
    ) -> Self {
        Self { stream, channel, idle_timeout }
    }

    /// Changes how long the other client may be silent from now on.
    pub(super) fn set_idle_timeout(&mut self, idle_timeout: Duration) {
        self.idle_timeout = idle_timeout;
    }

    /// Reads the request of a stream that the other client has opened.
    pub(super) async fn read_request(&mut self) -> Result<PeerRequest, StreamError> {
        let frame = self.stream.reader.read_frame(limits::OFFER, self.idle_timeout).await?;
        match frame.kind {
            FrameKind::Request => Ok(PeerRequest::decode(&frame.payload)?),
            found => Err(FrameError::Unexpected { found, expected: "a Request" }.into()),
        }
    }

    /// Reads the next reply, or the end of the response.
    pub(super) async fn next<E: EofPayload>(&mut self) -> Result<PeerPart<E>, StreamError> {
        read_part(&mut self.stream.reader, self.idle_timeout).await
    }

    /// Sends a reply.
    pub(super) async fn reply(&mut self, reply: &PeerReply) -> Result<(), StreamError> {
        self.stream.writer.write_frame(FrameKind::Reply, &reply.encode()).await?;
        self.stream.writer.flush().await
    }

    /// Sends the end of this side.
    pub(super) async fn end(&mut self, end: &impl EofPayload) -> Result<(), StreamError> {
        self.stream.writer.end(FrameKind::Eof, &end.encode()).await
    }
}

/// This side closes a path whose relay has ended: for a person, the other client does not respond any more.
fn as_loss(error: StreamError) -> StreamError {
    match error {
        StreamError::Lost(ConnectionEnd::ClosedLocally) => {
            StreamError::Lost(ConnectionEnd::TimedOut)
        }
        error => error,
    }
}

/// Reads the next part of a response, while its writer may be used elsewhere.
pub(super) async fn read_part<E: EofPayload>(
    reader: &mut FrameReader,
    idle_timeout: Duration,
) -> Result<PeerPart<E>, StreamError> {
    let frame = reader.read_response(limits::FRAME, idle_timeout).await.map_err(as_loss)?;
    match frame.kind {
        FrameKind::Reply => Ok(PeerPart::Reply(PeerReply::decode(&frame.payload)?)),
        FrameKind::Eof => {
            let end = E::decode(&frame.payload)?;
            reader.read_end(idle_timeout).await?;
            Ok(PeerPart::End(end))
        }
        found => Err(FrameError::Unexpected { found, expected: "Reply or Eof" }.into()),
    }
}
