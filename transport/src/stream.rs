//! Reads and writes frames on a QUIC stream. Each read has a limit and a timeout. Knows nothing of
//! commands.

mod error;

use std::time::Duration;

use bytes::{Buf as _, Bytes};
use quinn::{RecvStream, SendStream, VarInt};
use quiver_protocol::limits::{self, CHUNK};
use quiver_protocol::{FrameError, FrameHeader, FrameKind, Refusal, frame};
use tokio::task::yield_now;
use tokio::time;

pub use self::error::StreamError;
use crate::priority::{ContentStream, StreamPriority};

/// Bytes of small frames that are buffered before they are passed to QUIC.
const FLUSH_THRESHOLD: usize = 32 * 1024;

/// The priority of control streams: quinn sends streams with a larger number first.
const CONTROL_PRIORITY: i32 = 1;

/// The priority of content streams.
const CONTENT_PRIORITY: i32 = 0;

/// The turns that other tasks get after packets of a relayed connection were written. Measured with
/// `scripts/bench --only peers`: a get of the client that sends over a relay reached 0.33 of its rate alone with none, 0.47
/// with 4, 0.52 with 12, and 0.77 with 16.
const TURNS_FOR_OTHERS: usize = 16;

/// A received frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The kind.
    pub kind: FrameKind,
    /// The payload.
    pub payload: Vec<u8>,
}

/// The bidirectional stream of one command.
#[derive(Debug)]
pub struct CommandStream {
    /// The receiving half.
    pub reader: FrameReader,
    /// The sending half.
    pub writer: FrameWriter,
}

/// The receiving half of a stream.
#[derive(Debug)]
pub struct FrameReader {
    stream: RecvStream,
    /// Bytes that were received together with the last frame and are not read yet.
    buffered: Bytes,
}

/// The sending half of a stream. Small frames are buffered until [`flush`](Self::flush) or
/// [`end`](Self::end).
///
/// Every write may be cancelled: bytes that QUIC has not accepted stay in this writer, and the next
/// write sends them first. So an Error frame never begins within another frame, whichever write was
/// cancelled.
#[derive(Debug)]
pub struct FrameWriter {
    stream: SendStream,
    buffered: Vec<u8>,
    /// Bytes that QUIC accepts next.
    outgoing: Bytes,
    /// Set once the stream carries content.
    content: Option<ContentStream>,
    pub(crate) priority: StreamPriority,
    /// How long a write of control traffic may take.
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

    /// Makes the stream write control traffic before content of other streams with this priority.
    #[must_use]
    pub fn with_priority(mut self, priority: StreamPriority) -> Self {
        self.writer.priority = priority;
        self
    }

    /// Resets the stream if a write of control traffic takes longer than `timeout`, because the
    /// other side does not read. Writes of content have no timeout: the code that sends content
    /// bounds the memory they use.
    #[must_use]
    pub fn with_write_timeout(mut self, timeout: Duration) -> Self {
        self.writer.write_timeout = Some(timeout);
        self
    }

    /// Stops reading, and ends the conversation with an Error frame.
    ///
    /// # Errors
    /// [`StreamError`] if the frame could not be written.
    pub async fn refuse(&mut self, refusal: &Refusal) -> Result<(), StreamError> {
        self.reader.stop();
        self.writer.end(FrameKind::Error, &refusal.encode()).await
    }
}

impl From<(SendStream, RecvStream)> for CommandStream {
    fn from((send, recv): (SendStream, RecvStream)) -> Self {
        // Fails only if the stream has ended, and then the priority does not matter.
        let _ = send.set_priority(CONTROL_PRIORITY);
        Self {
            reader: FrameReader { stream: recv, buffered: Bytes::new() },
            writer: FrameWriter {
                stream: send,
                buffered: Vec::new(),
                outgoing: Bytes::new(),
                content: None,
                priority: StreamPriority::default(),
                write_timeout: None,
            },
        }
    }
}

impl FrameReader {
    /// Reads one whole frame, with at most `limit` bytes of payload, within `timeout`.
    ///
    /// # Errors
    /// [`StreamError`]; [`FrameError::Truncated`] if the stream ends first.
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

    /// Reads one frame of a response. An Error frame becomes [`StreamError::Refused`].
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

    /// Waits until the other side finishes the stream, and checks that it sends no more bytes.
    ///
    /// # Errors
    /// [`FrameError::Trailing`] if it sends more, [`StreamError::TimedOut`] if it does not finish
    /// the stream.
    pub async fn read_end(&mut self, timeout: Duration) -> Result<(), StreamError> {
        if !self.buffered.is_empty() {
            return Err(FrameError::Trailing.into());
        }
        let end = time::timeout(timeout, self.stream.read_chunk(1, true)).await;
        match end.map_err(|_| StreamError::TimedOut(timeout))? {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(FrameError::Trailing.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Resolves when the other side sends bytes that the conversation does not allow
    /// ([`FrameError::Trailing`]) or resets the stream ([`StreamError::Reset`]). Never resolves if
    /// it finishes the stream.
    pub async fn interrupted(&mut self) -> StreamError {
        if !self.buffered.is_empty() {
            return FrameError::Trailing.into();
        }
        match self.stream.read_chunk(1, true).await {
            Ok(Some(_)) => FrameError::Trailing.into(),
            Ok(None) => std::future::pending().await,
            Err(error) => error.into(),
        }
    }

    /// Stops reading: drops further bytes, and asks the other side to stop sending.
    pub fn stop(&mut self) {
        self.buffered.clear();
        // Fails only if the stream has ended already.
        let _ = self.stream.stop(VarInt::from_u32(0));
    }

    /// Fills `buffer`, and keeps further bytes that were received with it: each read of the QUIC
    /// stream takes the lock that all streams of the connection share.
    async fn read_exact(&mut self, mut buffer: &mut [u8]) -> Result<(), StreamError> {
        while !buffer.is_empty() {
            if self.buffered.is_empty() {
                let chunk = self.stream.read_chunk(usize::MAX, true).await?;
                self.buffered = chunk.ok_or(FrameError::Truncated)?.bytes;
            }
            let (start, rest) = buffer.split_at_mut(buffer.len().min(self.buffered.len()));
            self.buffered.copy_to_slice(start);
            buffer = rest;
        }
        Ok(())
    }

    /// Reads the next received bytes of the raw stream. Returns `None` at its end.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn read_piece(&mut self, timeout: Duration) -> Result<Option<Bytes>, StreamError> {
        if !self.buffered.is_empty() {
            return Ok(Some(std::mem::take(&mut self.buffered)));
        }
        let read = time::timeout(timeout, self.stream.read_chunk(usize::MAX, true)).await;
        let chunk = read.map_err(|_| StreamError::TimedOut(timeout))??;
        Ok(chunk.map(|chunk| chunk.bytes))
    }

    /// Reads the next received bytes of the raw stream into `pieces`. Returns the number of pieces,
    /// or `None` at the end of the stream.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn read_pieces(
        &mut self,
        pieces: &mut [Bytes],
        timeout: Duration,
    ) -> Result<Option<usize>, StreamError> {
        if let Some(first) = pieces.first_mut()
            && !self.buffered.is_empty()
        {
            *first = std::mem::take(&mut self.buffered);
            return Ok(Some(1));
        }
        let read = time::timeout(timeout, self.stream.read_chunks(pieces)).await;
        Ok(read.map_err(|_| StreamError::TimedOut(timeout))??)
    }
}

impl FrameWriter {
    /// Writes one frame. It may be buffered until further frames follow.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn write_frame(
        &mut self,
        kind: FrameKind,
        payload: &[u8],
    ) -> Result<(), StreamError> {
        frame::append(&mut self.buffered, kind, payload)?;
        if self.buffered.len() >= FLUSH_THRESHOLD { self.flush().await } else { Ok(()) }
    }

    /// Passes all buffered frames to QUIC.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn flush(&mut self) -> Result<(), StreamError> {
        self.write_outgoing().await?;
        self.outgoing = std::mem::take(&mut self.buffered).into();
        self.write_outgoing().await
    }

    async fn write_outgoing(&mut self) -> Result<(), StreamError> {
        while !self.outgoing.is_empty() {
            let write = self.stream.write_chunks(std::slice::from_mut(&mut self.outgoing));
            if self.content.is_some() {
                self.priority.write_content(write).await?;
            } else if let Some(limit) = self.write_timeout {
                let Ok(written) = time::timeout(limit, self.priority.write_control(write)).await
                else {
                    // Otherwise QUIC would keep the unread bytes until the connection ends.
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

    /// Resolves when the other side stops reading, also after this half was finished. Never
    /// resolves otherwise. Borrows nothing, so that it can be awaited during a write.
    pub fn stopped(&self) -> impl Future<Output = StreamError> + Send + 'static {
        let stopped = self.stream.stopped();
        async move {
            match stopped.await {
                Ok(Some(_)) => StreamError::Stopped,
                // The next write reports the end of the connection.
                Ok(None) | Err(_) => std::future::pending().await,
            }
        }
    }

    /// Writes the last frame, flushes, and finishes this half.
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
        // Fails only if it is finished already, or the other side has stopped reading.
        let _ = self.stream.finish();
    }

    /// Abandons this half: QUIC drops what the other side has not read, and tells it so.
    pub fn reset(&mut self) {
        self.buffered.clear();
        self.outgoing.clear();
        // Fails only if this half has ended already.
        let _ = self.stream.reset(VarInt::from_u32(0));
    }

    /// Waits until the other side has received everything. Returns `false` if it has not within
    /// `timeout`.
    pub async fn delivered(&mut self, timeout: Duration) -> bool {
        matches!(time::timeout(timeout, self.stream.stopped()).await, Ok(Ok(None)))
    }

    /// Marks the stream as one that carries content: from now on control traffic of other streams
    /// is written first.
    pub fn start_content(&mut self) {
        // Fails only if the stream has ended, and then the priority does not matter.
        let _ = self.stream.set_priority(CONTENT_PRIORITY);
        self.content = Some(self.priority.add_content_stream());
    }

    /// Writes packets of a connection inside this stream. What QUIC buffers of the connection's content is bounded from
    /// now on, as long as this stream carries content. If other streams of the connection move content too, they get
    /// turns before this returns: each relayed byte costs the processor several times what a byte of theirs costs.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn write_packets(&mut self, packets: Bytes) -> Result<(), StreamError> {
        let own = packets.len();
        if let Some(content) = &mut self.content {
            content.follow_congestion_window();
        }
        self.write_block(packets).await?;
        if let Some(content) = &mut self.content
            && content.has_moved_for_others(own)
        {
            for _ in 0..TURNS_FOR_OTHERS {
                yield_now().await;
            }
        }
        Ok(())
    }

    /// Buffers a small file's content, so that it is sent with the frames before and after it.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn buffer_content(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        // Reserves space for the Eof too, which saves copying all of the buffer again.
        let headers = bytes.len().div_ceil(CHUNK) * FrameHeader::LENGTH;
        self.buffered.reserve(bytes.len() + headers + limits::RECEIVED);
        for chunk in bytes.chunks(CHUNK) {
            frame::append(&mut self.buffered, FrameKind::Data, chunk)?;
        }
        Ok(())
    }

    /// Flushes, and passes a framed block to QUIC.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn write_block(&mut self, block: Bytes) -> Result<(), StreamError> {
        self.flush().await?;
        self.outgoing = block;
        self.write_outgoing().await
    }
}
