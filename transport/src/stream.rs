//! Frames on a QUIC stream: each read names its limit and its timeout. Knows nothing of commands.

mod error;

use std::time::Duration;

use bytes::{Buf as _, Bytes};
use quinn::{RecvStream, SendStream, VarInt};
use quiver_protocol::limits::{self, CHUNK};
use quiver_protocol::{FrameError, FrameHeader, FrameKind, Refusal, frame};
use tokio::time;

pub use self::error::StreamError;
use crate::priority::{ContentStream, StreamPriority};

/// Small frames are gathered up to this many bytes before they are handed to QUIC.
const GATHER: usize = 32 * 1024;

/// Control streams go before content streams (quinn: the larger number first).
const CONTROL_PRIORITY: i32 = 1;

/// Content waits while a control stream has something to say.
const CONTENT_PRIORITY: i32 = 0;

/// One frame, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: FrameKind,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// The two halves of a command's stream.
#[derive(Debug)]
pub struct CommandStream {
    /// What the other side says.
    pub reader: FrameReader,
    /// What this side says.
    pub writer: FrameWriter,
}

/// The reading half.
#[derive(Debug)]
pub struct FrameReader {
    stream: RecvStream,
    /// What came with a frame that was read, and is not read yet.
    rest: Bytes,
}

/// The writing half. Small frames are gathered until [`flush`](Self::flush) or [`end`](Self::end).
///
/// Every write may be cancelled: what was not yet taken stays here and goes first the next time, so
/// that an Error can follow whole frames whatever was interrupted.
#[derive(Debug)]
pub struct FrameWriter {
    stream: SendStream,
    gathered: Vec<u8>,
    leaving: Bytes,
    /// While it carries content.
    content: Option<ContentStream>,
    priority: StreamPriority,
    /// How long a write of anything but content may take.
    write_timeout: Option<Duration>,
}

impl CommandStream {
    /// Opens a stream to the other side.
    ///
    /// # Errors
    /// [`StreamError::Lost`].
    pub async fn open(connection: &quinn::Connection) -> Result<Self, StreamError> {
        let pair = connection.open_bi().await.map_err(|error| StreamError::Lost(error.into()))?;
        Ok(Self::from(pair))
    }

    /// The same stream, whose control traffic is written before the content of other streams with this priority.
    #[must_use]
    pub fn with_priority(mut self, priority: StreamPriority) -> Self {
        self.writer.priority = priority;
        self
    }

    /// The same stream, which is reset where the other side reads nothing of it for `timeout`. Content is
    /// excepted: what it holds is bounded where it is sent.
    #[must_use]
    pub fn with_write_timeout(mut self, timeout: Duration) -> Self {
        self.writer.write_timeout = Some(timeout);
        self
    }

    /// Ends the conversation with an Error frame, and reads no further.
    ///
    /// # Errors
    /// [`StreamError`] where it could not be said.
    pub async fn refuse(&mut self, refusal: &Refusal) -> Result<(), StreamError> {
        self.reader.stop();
        self.writer.end(FrameKind::Error, &refusal.encode()).await
    }
}

impl From<(SendStream, RecvStream)> for CommandStream {
    fn from((send, recv): (SendStream, RecvStream)) -> Self {
        // Fails only on a stream that is over, where no priority matters.
        let _ = send.set_priority(CONTROL_PRIORITY);
        Self {
            reader: FrameReader { stream: recv, rest: Bytes::new() },
            writer: FrameWriter {
                stream: send,
                gathered: Vec::new(),
                leaving: Bytes::new(),
                content: None,
                priority: StreamPriority::default(),
                write_timeout: None,
            },
        }
    }
}

impl FrameReader {
    /// Reads one frame, of at most `limit` bytes of payload, whole within `timeout`.
    ///
    /// # Errors
    /// [`StreamError`]; [`FrameError::Truncated`] where the stream ends first.
    pub async fn read_frame(
        &mut self,
        limit: usize,
        timeout: Duration,
    ) -> Result<Frame, StreamError> {
        let read = async {
            let mut header = [0; FrameHeader::LENGTH];
            self.read_exact(&mut header).await?;
            let header = FrameHeader::parse(header)?;
            let length = usize::from(header.length);
            if length > limit {
                return Err(FrameError::TooLong { length, limit }.into());
            }
            let mut payload = vec![0; length];
            self.read_exact(&mut payload).await?;
            Ok(Frame { kind: header.kind, payload })
        };
        time::timeout(timeout, read).await.map_err(|_| StreamError::TimedOut(timeout))?
    }

    /// Reads one frame of an answer; an Error frame becomes [`StreamError::Refused`].
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn read_response(
        &mut self,
        limit: usize,
        timeout: Duration,
    ) -> Result<Frame, StreamError> {
        let frame = self.read_frame(limit, timeout).await?;
        if frame.kind == FrameKind::Error {
            return Err(Refusal::decode(&frame.payload)?.into());
        }
        Ok(frame)
    }

    /// Makes sure that the other side has nothing more to say.
    ///
    /// # Errors
    /// [`FrameError::Trailing`] where it has, [`StreamError::TimedOut`] where it does not finish.
    pub async fn read_end(&mut self, timeout: Duration) -> Result<(), StreamError> {
        if !self.rest.is_empty() {
            return Err(FrameError::Trailing.into());
        }
        let end = time::timeout(timeout, self.stream.read_chunk(1, true)).await;
        match end.map_err(|_| StreamError::TimedOut(timeout))? {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(FrameError::Trailing.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Resolves when the other side says something out of turn ([`FrameError::Trailing`]), or gives up what
    /// it was saying ([`StreamError::Reset`]); never for one that is done talking.
    pub async fn interrupted(&mut self) -> StreamError {
        if !self.rest.is_empty() {
            return FrameError::Trailing.into();
        }
        match self.stream.read_chunk(1, true).await {
            Ok(Some(_)) => FrameError::Trailing.into(),
            Ok(None) => std::future::pending().await,
            Err(error) => error.into(),
        }
    }

    /// Reads no further: what still comes is dropped, and the other side is told.
    pub fn stop(&mut self) {
        self.rest.clear();
        // Fails only where the stream is over anyway.
        let _ = self.stream.stop(VarInt::from_u32(0));
    }

    /// Fills `buffer`, taking along what came with that: each look at the stream costs the lock that all
    /// streams of its connection share.
    async fn read_exact(&mut self, mut buffer: &mut [u8]) -> Result<(), StreamError> {
        while !buffer.is_empty() {
            if self.rest.is_empty() {
                let chunk = self.stream.read_chunk(usize::MAX, true).await?;
                self.rest = chunk.ok_or(FrameError::Truncated)?.bytes;
            }
            let (now, later) = buffer.split_at_mut(buffer.len().min(self.rest.len()));
            self.rest.copy_to_slice(now);
            buffer = later;
        }
        Ok(())
    }

    /// The next piece of the raw stream; `None` at its end.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn read_piece(&mut self, timeout: Duration) -> Result<Option<Bytes>, StreamError> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        let read = time::timeout(timeout, self.stream.read_chunk(usize::MAX, true)).await;
        let chunk = read.map_err(|_| StreamError::TimedOut(timeout))??;
        Ok(chunk.map(|chunk| chunk.bytes))
    }

    /// The next pieces of the raw stream into `pieces`; how many, or `None` at its end.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn read_pieces(
        &mut self,
        pieces: &mut [Bytes],
        timeout: Duration,
    ) -> Result<Option<usize>, StreamError> {
        if let Some(first) = pieces.first_mut()
            && !self.rest.is_empty()
        {
            *first = std::mem::take(&mut self.rest);
            return Ok(Some(1));
        }
        let read = time::timeout(timeout, self.stream.read_chunks(pieces)).await;
        Ok(read.map_err(|_| StreamError::TimedOut(timeout))??)
    }
}

impl FrameWriter {
    /// Says one frame, soon: it may be gathered with those that follow.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn write_frame(
        &mut self,
        kind: FrameKind,
        payload: &[u8],
    ) -> Result<(), StreamError> {
        frame::append(&mut self.gathered, kind, payload)?;
        if self.gathered.len() >= GATHER { self.flush().await } else { Ok(()) }
    }

    /// Hands what was gathered to QUIC.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn flush(&mut self) -> Result<(), StreamError> {
        self.leave().await?;
        self.leaving = std::mem::take(&mut self.gathered).into();
        self.leave().await
    }

    async fn leave(&mut self) -> Result<(), StreamError> {
        while !self.leaving.is_empty() {
            let write = self.stream.write_chunks(std::slice::from_mut(&mut self.leaving));
            if self.content.is_some() {
                self.priority.write_content(write).await?;
            } else if let Some(limit) = self.write_timeout {
                let Ok(written) = time::timeout(limit, self.priority.write_control(write)).await
                else {
                    // Else what was not read would be kept until the connection ends.
                    let _ = self.stream.reset(VarInt::from_u32(0));
                    return Err(StreamError::WriteTimedOut(limit));
                };
                written?;
            } else {
                self.priority.write_control(write).await?;
            }
        }
        Ok(())
    }

    /// Resolves when the other side wants no more of what is sent; never otherwise, also after this half was
    /// finished. Borrows nothing, so that it can be awaited beside a write.
    pub fn stopped(&self) -> impl Future<Output = StreamError> + Send + 'static {
        let stopped = self.stream.stopped();
        async move {
            match stopped.await {
                Ok(Some(_)) => StreamError::Stopped,
                // The end of the connection is told by whatever is written next.
                Ok(None) | Err(_) => std::future::pending().await,
            }
        }
    }

    /// Says the last frame and finishes this half.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn end(&mut self, kind: FrameKind, payload: &[u8]) -> Result<(), StreamError> {
        self.write_frame(kind, payload).await?;
        self.flush().await?;
        self.finish();
        Ok(())
    }

    /// Finishes this half.
    pub fn finish(&mut self) {
        // Fails only where it is finished already, or the other side wants no more of it.
        let _ = self.stream.finish();
    }

    /// Waits until the other side has everything, for at most `timeout`; whether it has.
    pub async fn delivered(&mut self, timeout: Duration) -> bool {
        matches!(time::timeout(timeout, self.stream.stopped()).await, Ok(Ok(None)))
    }

    /// Carries content from now on: control traffic of other streams is written first.
    pub fn start_content(&mut self) {
        // Fails only on a stream that is over, where no priority matters.
        let _ = self.stream.set_priority(CONTENT_PRIORITY);
        self.content = Some(self.priority.add_content_stream());
    }

    /// Says a small file's bytes, with what is said before and after them.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn buffer_content(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        // Room for the end too, that it is not all copied once more.
        let headers = bytes.len().div_ceil(CHUNK) * FrameHeader::LENGTH;
        self.gathered.reserve(bytes.len() + headers + limits::RECEIVED);
        for chunk in bytes.chunks(CHUNK) {
            frame::append(&mut self.gathered, FrameKind::Data, chunk)?;
        }
        Ok(())
    }

    /// Hands a framed block to QUIC.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn write_block(&mut self, block: Bytes) -> Result<(), StreamError> {
        self.flush().await?;
        self.leaving = block;
        self.leave().await
    }
}
