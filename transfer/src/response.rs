//! A request on a stream of its own, and the replies to it: what every command begins with.

use std::time::Duration;

use quiver_protocol::{EofPayload, FrameError, FrameKind, PlainEnd, Reply, Request, limits};
use quiver_transport::{Channel, CommandStream, FrameReader, StreamError};
use tokio::time::timeout;

/// What the other side answers: replies, then one end.
#[derive(Debug)]
pub struct ResponseReader {
    pub(crate) stream: CommandStream,
    pub(crate) patience: Duration,
}

/// The next part of an answer.
#[derive(Debug)]
pub enum ResponsePart<E> {
    /// A reply; more may follow.
    Reply(Reply),
    /// The end.
    End(E),
}

impl ResponseReader {
    /// Asks. No silence of the other side may be longer than `patience`.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn send_request(
        connection: &Channel,
        request: &Request,
        patience: Duration,
    ) -> Result<Self, StreamError> {
        let ask = async {
            // Waits where as many commands run as the other side allows.
            let mut stream = connection.open().await?;
            stream.writer.write_frame(FrameKind::Request, &request.encode()).await?;
            stream.writer.flush().await?;
            Ok::<_, StreamError>(stream)
        };
        let mut stream =
            timeout(patience, ask).await.map_err(|_| StreamError::Silent(patience))??;
        if !matches!(request, Request::Get { .. } | Request::Put(_)) {
            stream.writer.finish();
        }
        Ok(Self { stream, patience })
    }

    /// The next reply, or the end `E` that this command has.
    ///
    /// # Errors
    /// [`StreamError`]: a refusal too.
    pub async fn next<E: EofPayload>(&mut self) -> Result<ResponsePart<E>, StreamError> {
        let frame = self.stream.reader.read_answer(limits::FRAME, self.patience).await?;
        match frame.kind {
            FrameKind::Reply => Ok(ResponsePart::Reply(Reply::decode(&frame.payload)?)),
            FrameKind::Eof => {
                let end = E::decode(&frame.payload)?;
                self.stream.reader.read_end(self.patience).await?;
                Ok(ResponsePart::End(end))
            }
            found => Err(FrameError::Unexpected { found, expected: "Reply or Eof" }.into()),
        }
    }

    /// The only reply of a command that has one.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn single_reply(mut self) -> Result<Reply, StreamError> {
        let ResponsePart::Reply(reply) = self.next::<PlainEnd>().await? else {
            return Err(unexpected_reply("an answer without a reply"));
        };
        match self.next::<PlainEnd>().await? {
            ResponsePart::End(_) => Ok(reply),
            ResponsePart::Reply(_) => Err(unexpected_reply("a second reply where one was due")),
        }
    }
}

/// A reply that belongs to another command.
#[must_use]
pub fn unexpected_reply(why: &str) -> StreamError {
    FrameError::Malformed { what: "answer", why: why.to_owned() }.into()
}

/// Does this end's work on an answer for as long as the other side has nothing to say and wants the answer.
/// `stopped` is that of the answer's writer, which the work may borrow.
///
/// # Errors
/// [`StreamError`] where the other side said something out of turn, or gave up: the work is dropped.
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
