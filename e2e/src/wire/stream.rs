//! One stream: sent frames, received frames, and the rule that a response ends with exactly one Eof or Error.
//! Used at both ends of a stream.

use quinn::{ConnectionError, ReadError, RecvStream, SendStream, VarInt, WriteError};
use serde_json::Value;

use super::frame::{RawFrame, kind};
use crate::deadline::{TIMEOUT, wait_within};

/// Bytes that are read from QUIC at once.
const READ_SIZE: usize = 64 * 1024;

/// Both halves of a stream.
#[derive(Debug)]
pub struct RawStream {
    /// The sending half, for direct access.
    pub send: SendStream,
    /// The receiving half. Bytes that were read but not consumed are in the buffer.
    pub recv: RecvStream,
    pub(super) buffer: Vec<u8>,
    /// Start of the unread bytes in the buffer.
    pub(super) start: usize,
}

/// A whole response without content.
#[derive(Debug, Clone, PartialEq)]
pub struct RawResponse {
    /// The objects of its Reply frames.
    pub replies: Vec<Value>,
    /// The frame that ended it.
    pub end: ResponseEnd,
}

/// The frame that ends a response.
#[derive(Debug, Clone, PartialEq)]
pub enum ResponseEnd {
    /// The response is complete; the Eof's object.
    Eof(Value),
    /// The request was refused or failed.
    Error {
        /// The code, for programs.
        code: String,
        /// The text, for users.
        message: String,
    },
}

/// The reason why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawStreamError {
    /// The other side reset the stream.
    Reset(VarInt),
    /// The stream finished within a frame, or before an Eof or Error.
    Short,
    /// The other side stopped reading.
    Stopped(VarInt),
    /// The connection ended.
    Connection(ConnectionError),
}

impl RawStream {
    /// Reads the next frame; `None` if the other side has finished.
    ///
    /// # Errors
    /// [`RawStreamError`].
    pub async fn read_frame(&mut self) -> Result<Option<RawFrame>, RawStreamError> {
        let Some(header) = self.peek(3).await? else { return Ok(None) };
        let (kind, length) = (header[0], u16::from_be_bytes([header[1], header[2]]));
        let frame_length = 3 + usize::from(length);
        let frame = self.peek(frame_length).await?.ok_or(RawStreamError::Short)?;
        let frame = RawFrame::new(kind, &frame[3..]);
        self.start += frame_length;
        Ok(Some(frame))
    }

    /// Reads all frames up to the end of the stream.
    ///
    /// # Errors
    /// [`RawStreamError`].
    pub async fn read_frames(&mut self) -> Result<Vec<RawFrame>, RawStreamError> {
        let mut frames = Vec::new();
        while let Some(frame) = self.read_frame().await? {
            frames.push(frame);
        }
        Ok(frames)
    }

    /// Reads a whole response without content.
    ///
    /// # Errors
    /// [`RawStreamError`].
    ///
    /// # Panics
    /// If the response breaks the protocol: content, no end or several, bytes after the end.
    pub async fn read_response(&mut self) -> Result<RawResponse, RawStreamError> {
        let mut replies = Vec::new();
        let end = loop {
            let frame = self.read_frame().await?.ok_or(RawStreamError::Short)?;
            match frame.kind {
                kind::REPLY => replies.push(frame.value()),
                _ => break ResponseEnd::from_frame(&frame),
            }
        };
        let after = self.read_frame().await?;
        assert_eq!(after, None, "after the end of a response");
        Ok(RawResponse { replies, end })
    }

    /// Sends any bytes.
    ///
    /// # Errors
    /// [`RawStreamError`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), RawStreamError> {
        wait_within(TIMEOUT, "space in the send buffer", self.send.write_all(bytes))
            .await
            .map_err(RawStreamError::from)
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// [`RawStreamError`].
    pub async fn write_frame(&mut self, frame: &RawFrame) -> Result<(), RawStreamError> {
        self.write(&frame.encode()).await
    }

    /// Finishes the sending half. If the other side has stopped reading, it is finished already.
    pub fn finish(&mut self) {
        let _ = self.send.finish();
    }

    /// Abandons the stream: resets the sending half and stops the receiving half.
    pub fn abandon(mut self) {
        let _ = self.send.reset(0_u32.into());
        let _ = self.recv.stop(0_u32.into());
    }

    /// The next `length` bytes without consuming them; `None` if the stream has finished before the first.
    async fn peek(&mut self, length: usize) -> Result<Option<&[u8]>, RawStreamError> {
        while self.buffer.len() - self.start < length {
            self.buffer.drain(..self.start);
            self.start = 0;
            match self.recv.read_chunk(READ_SIZE, true).await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk.bytes),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(RawStreamError::Short),
            }
        }
        Ok(Some(&self.buffer[self.start..self.start + length]))
    }

    /// Reads more bytes, and returns all unread ones; empty at the end of the stream.
    pub(super) async fn fill(&mut self) -> Result<&[u8], RawStreamError> {
        self.buffer.drain(..self.start);
        self.start = 0;
        if let Some(chunk) = self.recv.read_chunk(READ_SIZE, true).await? {
            self.buffer.extend_from_slice(&chunk.bytes);
        }
        Ok(&self.buffer[self.start..])
    }
}

impl From<(SendStream, RecvStream)> for RawStream {
    fn from((send, recv): (SendStream, RecvStream)) -> Self {
        Self { send, recv, buffer: Vec::new(), start: 0 }
    }
}

impl RawResponse {
    /// The code of a refusal; `""` if it is none.
    #[must_use]
    pub fn code(&self) -> &str {
        match &self.end {
            ResponseEnd::Eof(_) => "",
            ResponseEnd::Error { code, .. } => code,
        }
    }

    /// The message of a refusal; `""` if it is none.
    #[must_use]
    pub fn message(&self) -> &str {
        match &self.end {
            ResponseEnd::Eof(_) => "",
            ResponseEnd::Error { message, .. } => message,
        }
    }

    /// The object of the Eof.
    ///
    /// # Panics
    /// If the response is a refusal.
    pub fn eof(&self) -> &Value {
        match &self.end {
            ResponseEnd::Eof(end) => end,
            ResponseEnd::Error { code, message } => panic!("refused with {code}: {message}"),
        }
    }

    /// The only reply of a complete response.
    ///
    /// # Panics
    /// If there is none or several, or the response is a refusal.
    #[must_use]
    pub fn reply(&self) -> &Value {
        self.eof();
        assert_eq!(self.replies.len(), 1, "one reply: {:?}", self.replies);
        &self.replies[0]
    }
}

impl ResponseEnd {
    /// # Panics
    /// If the frame does not end a response.
    pub(super) fn from_frame(frame: &RawFrame) -> Self {
        let object = frame.value();
        match frame.kind {
            kind::EOF => Self::Eof(object),
            kind::ERROR => {
                let text = |field: &str| object[field].as_str().expect("a text").to_owned();
                Self::Error { code: text("code"), message: text("message") }
            }
            _ => panic!("this frame does not end a response: {frame:?}"),
        }
    }
}

impl From<ReadError> for RawStreamError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(code) => Self::Reset(code),
            ReadError::ConnectionLost(error) => Self::Connection(error),
            other => panic!("{other}"),
        }
    }
}

impl From<WriteError> for RawStreamError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped(code) => Self::Stopped(code),
            WriteError::ConnectionLost(error) => Self::Connection(error),
            other => panic!("{other}"),
        }
    }
}
