//! Sends a request on a stream of its own and reads the replies: how every command begins.

use std::time::Duration;

use quiver_protocol::{EofPayload, FrameError, FrameKind, PlainEnd, Reply, Request, limits};
use quiver_transport::{Channel, CommandStream, FrameReader, StreamError};
use tokio::time::timeout;

/// Reads the response to a request: replies, then one end.
#[derive(Debug)]
pub struct ResponseReader {
    pub(crate) stream: CommandStream,
    pub(crate) idle_timeout: Duration,
}

/// The next part of a response.
#[derive(Debug)]
pub enum ResponsePart<E> {
    /// A reply; more may follow.
    Reply(Reply),
    /// The end of the response.
    End(E),
}

impl ResponseReader {
    /// Opens a stream and sends the request. The peer must not be silent for longer than
    /// `idle_timeout`.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn send_request(
        connection: &Channel,
        request: &Request,
        idle_timeout: Duration,
    ) -> Result<Self, StreamError> {
        let send = async {
            // Waits while the peer runs as many commands as it allows.
            let mut stream = connection.open().await?;
            stream.writer.write_frame(FrameKind::Request, &request.encode()).await?;
            stream.writer.flush().await?;
            Ok::<_, StreamError>(stream)
        };
        let mut stream = timeout(idle_timeout, send)
            .await
            .map_err(|_| StreamError::TimedOut(idle_timeout))??;
        if !matches!(request, Request::Get { .. } | Request::Put(_) | Request::Relay { .. }) {
            stream.writer.finish();
        }
        Ok(Self { stream, idle_timeout })
    }

    /// Changes how long the peer may be silent from now on.
    #[must_use]
    pub fn with_idle_timeout(self, idle_timeout: Duration) -> Self {
        Self { idle_timeout, ..self }
    }

    /// The stream, for a conversation that continues in both directions.
    #[must_use]
    pub fn into_stream(self) -> CommandStream {
        self.stream
    }

    /// Reads the next reply, or the end `E` of this command.
    ///
    /// # Errors
    /// [`StreamError`], which includes a refusal.
    pub async fn next<E: EofPayload>(&mut self) -> Result<ResponsePart<E>, StreamError> {
        let frame = self.stream.reader.read_response(limits::FRAME, self.idle_timeout).await?;
        match frame.kind {
            FrameKind::Reply => Ok(ResponsePart::Reply(Reply::decode(&frame.payload)?)),
            FrameKind::Eof => {
                let end = E::decode(&frame.payload)?;
                self.stream.reader.read_end(self.idle_timeout).await?;
                Ok(ResponsePart::End(end))
            }
            found => Err(FrameError::Unexpected { found, expected: "Reply or Eof" }.into()),
        }
    }

    /// Reads the reply of a command that has exactly one.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn single_reply(mut self) -> Result<Reply, StreamError> {
        let ResponsePart::Reply(reply) = self.next::<PlainEnd>().await? else {
            return Err(unexpected_reply("no reply before the end"));
        };
        match self.next::<PlainEnd>().await? {
            ResponsePart::End(_) => Ok(reply),
            ResponsePart::Reply(_) => Err(unexpected_reply("more than one reply")),
        }
    }
}

/// The error for a reply that does not belong to the command.
#[must_use]
pub fn unexpected_reply(why: &str) -> StreamError {
    FrameError::Malformed { what: "response", why: why.to_owned() }.into()
}

/// Runs `work`, which produces a response, until the peer interrupts it: by sending anything, or by
/// no longer reading the response. `stopped` resolves when the peer stops reading; it belongs to
/// the response's writer, which the work may borrow.
///
/// # Errors
/// [`StreamError`] if the peer interrupted the work; the work is dropped.
pub async fn run_until_interrupted<T>(
    reader: &mut FrameReader,
    stopped: impl Future<Output = StreamError>,
    work: impl Future<Output = T>,
) -> Result<T, StreamError> {
    tokio::select! {
        biased;
        error = reader.interrupted() => Err(error),
        error = stopped => Err(error),
        done = work => Ok(done),
    }
}
