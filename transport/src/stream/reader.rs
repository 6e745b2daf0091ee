//! The receiving half of a stream: reads frames and raw content, each read with a limit and a timeout.

use std::time::Duration;

use bytes::{Buf as _, Bytes};
use quinn::{RecvStream, VarInt};
use quiver_protocol::limits::CHUNK;
use quiver_protocol::{FrameError, FrameHeader, FrameKind, Refusal};
use tokio::time;

use super::{Frame, StreamError};
use crate::priority::StreamPriority;
use crate::windows::ContentReader;

/// The receiving half of a stream.
#[derive(Debug)]
pub struct FrameReader {
    stream: RecvStream,
    /// Bytes that were received together with the last frame and are not read yet.
    buffered: Bytes,
    priority: StreamPriority,
    /// Set once content was read.
    content: Option<Box<ContentReader>>,
}

impl FrameReader {
    pub(super) fn new(stream: RecvStream) -> Self {
        let priority = StreamPriority::default();
        Self { stream, buffered: Bytes::new(), priority, content: None }
    }

    pub(super) fn set_priority(&mut self, priority: StreamPriority) {
        self.priority = priority;
    }

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
        self.start_content();
        if !self.buffered.is_empty() {
            return Ok(Some(std::mem::take(&mut self.buffered)));
        }
        let read = time::timeout(timeout, self.stream.read_chunk(usize::MAX, true)).await;
        let chunk = read.map_err(|_| StreamError::TimedOut(timeout))??;
        if let (Some(content), Some(chunk)) = (&mut self.content, &chunk) {
            content.add(chunk.bytes.len() as u64);
        }
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
        self.start_content();
        if let Some(first) = pieces.first_mut()
            && !self.buffered.is_empty()
        {
            *first = std::mem::take(&mut self.buffered);
            return Ok(Some(1));
        }
        let read = time::timeout(timeout, self.stream.read_chunks(pieces)).await;
        let count = read.map_err(|_| StreamError::TimedOut(timeout))??;
        if let (Some(content), Some(count)) = (&mut self.content, count) {
            content.add(pieces[..count].iter().map(|piece| piece.len() as u64).sum());
        }
        Ok(count)
    }

    /// Tells how much content follows, so that the connection needs no larger window for the last
    /// of it.
    pub fn expect_content(&mut self, bytes: u64) {
        self.start_content();
        if let Some(content) = &mut self.content {
            let headers = bytes.div_ceil(CHUNK as u64).saturating_mul(FrameHeader::LENGTH as u64);
            content.expect(bytes.saturating_add(headers));
        }
    }

    fn start_content(&mut self) {
        if self.content.is_none() {
            self.content = self.priority.add_content_reader().map(Box::new);
        }
    }
}
