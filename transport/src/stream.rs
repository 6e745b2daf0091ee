//! Reads and writes frames on a QUIC stream. Each read has a limit and a timeout. Knows nothing of
//! commands.

mod error;
mod reader;
mod send_half;

use std::time::Duration;

use bytes::{Buf as _, Bytes};
use quinn::{RecvStream, SendStream};
use quiver_protocol::limits::{self, CHUNK};
use quiver_protocol::{FrameError, FrameHeader, FrameKind, Refusal, frame};
use tokio::task::yield_now;
use tokio::time::{self, Instant};

pub use self::error::StreamError;
pub use self::reader::FrameReader;
use self::send_half::SendHalf;
use crate::priority::{ContentStream, StreamPriority};
use crate::send_meter::SendMeter;

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

/// The sending half of a stream. Small frames are buffered until [`flush`](Self::flush) or
/// [`end`](Self::end).
///
/// Every write may be cancelled: bytes that QUIC has not accepted stay in this writer, and the next
/// write sends them first. So an Error frame never begins within another frame, whichever write was
/// cancelled.
#[derive(Debug)]
pub struct FrameWriter {
    stream: SendHalf,
    buffered: Vec<u8>,
    /// Bytes that QUIC accepts next.
    outgoing: Bytes,
    /// Set once the stream carries content.
    content: Option<Box<ContentStream>>,
    priority: StreamPriority,
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
        self.reader.set_priority(priority.clone());
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
            reader: FrameReader::new(recv),
            writer: FrameWriter {
                stream: SendHalf::new(send),
                buffered: Vec::new(),
                outgoing: Bytes::new(),
                content: None,
                priority: StreamPriority::default(),
                write_timeout: None,
            },
        }
    }
}

impl Drop for FrameWriter {
    fn drop(&mut self) {
        // Before the content stream is dropped, so that what it has sent is always counted.
        if let Some(stream) = self.stream.end() {
            self.priority.keep_until_acknowledged(stream);
        }
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
            if let Some(content) = &mut self.content {
                let length = content.next_length(self.outgoing.len()).await;
                let start = Instant::now();
                // A cancelled write has taken nothing.
                let mut part = self.outgoing.slice(..length);
                let write = self.stream.write_chunks(std::slice::from_mut(&mut part));
                let written = self.priority.write_content(write).await?.bytes;
                self.outgoing.advance(written);
                content.note_write(start, written);
                continue;
            }
            let write = self.stream.write_chunks(std::slice::from_mut(&mut self.outgoing));
            if let Some(limit) = self.write_timeout {
                let Ok(written) = time::timeout(limit, self.priority.write_control(write)).await
                else {
                    // Otherwise QUIC would keep the unread bytes until the connection ends.
                    self.stream.reset();
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
        self.stream.reset();
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
        self.content = Some(Box::new(self.priority.add_content_stream()));
    }

    /// Starts to measure what holds back the data that this side of the connection sends; `None` on a
    /// stream without [priority](CommandStream::with_priority).
    #[must_use]
    pub fn start_send_meter(&self) -> Option<SendMeter> {
        self.priority.start_send_meter()
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
