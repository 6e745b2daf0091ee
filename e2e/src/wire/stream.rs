//! One stream: frames out, frames in, and the rule that an answer ends with exactly one Eof or Error.
//! Either end of a stream can be one.

use quinn::{ConnectionError, ReadError, RecvStream, SendStream, VarInt, WriteError};
use serde_json::Value;

use super::frame::{RawFrame, kind};
use crate::deadline::{PATIENCE, within};

/// How much is taken from QUIC at once.
const PIECE: usize = 64 * 1024;

/// Both halves of a stream.
#[derive(Debug)]
pub struct Stream {
    /// For whatever a story wants to do to it.
    pub send: SendStream,
    /// The other half. What was taken from it already is in the buffer.
    pub recv: RecvStream,
    pub(super) buffer: Vec<u8>,
    /// Where in the buffer the unread bytes begin.
    pub(super) start: usize,
}

/// A whole answer without content.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The objects of its Reply frames.
    pub replies: Vec<Value>,
    /// How it ended.
    pub end: End,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// Complete; the Eof's object.
    Eof(Value),
    /// Refused or failed.
    Error {
        /// For programs.
        code: String,
        /// For people.
        message: String,
    },
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The other side gave up sending.
    Reset(VarInt),
    /// The stream finished within a frame, or before an Eof or Error.
    Short,
    /// The other side does not want what is sent.
    Stopped(VarInt),
    /// The connection is gone.
    Connection(ConnectionError),
}

impl Stream {
    /// The next frame; `None` where the other side has finished.
    ///
    /// # Errors
    /// [`Broken`].
    pub async fn read_frame(&mut self) -> Result<Option<RawFrame>, Broken> {
        let Some(header) = self.peek(3).await? else { return Ok(None) };
        let (kind, length) = (header[0], u16::from_be_bytes([header[1], header[2]]));
        let whole = 3 + usize::from(length);
        let frame = self.peek(whole).await?.ok_or(Broken::Short)?;
        let frame = RawFrame::new(kind, &frame[3..]);
        self.start += whole;
        Ok(Some(frame))
    }

    /// All frames up to the end of the stream.
    ///
    /// # Errors
    /// [`Broken`].
    pub async fn read_frames(&mut self) -> Result<Vec<RawFrame>, Broken> {
        let mut frames = Vec::new();
        while let Some(frame) = self.read_frame().await? {
            frames.push(frame);
        }
        Ok(frames)
    }

    /// A whole answer without content.
    ///
    /// # Errors
    /// [`Broken`].
    ///
    /// # Panics
    /// Where the answer breaks the rules: content, no end or more than one, anything after it.
    pub async fn answer(&mut self) -> Result<Answer, Broken> {
        let mut replies = Vec::new();
        let end = loop {
            let frame = self.read_frame().await?.ok_or(Broken::Short)?;
            match frame.kind {
                kind::REPLY => replies.push(frame.value()),
                _ => break End::of(&frame),
            }
        };
        let after = self.read_frame().await?;
        assert_eq!(after, None, "after the end of an answer");
        Ok(Answer { replies, end })
    }

    /// Sends bytes, whatever they are.
    ///
    /// # Errors
    /// [`Broken`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        within(PATIENCE, "room to send", self.send.write_all(bytes)).await.map_err(Broken::from)
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// [`Broken`].
    pub async fn write_frame(&mut self, frame: &RawFrame) -> Result<(), Broken> {
        self.write(&frame.encode()).await
    }

    /// Finishes the sending half. One that the other side has stopped is finished already.
    pub fn finish(&mut self) {
        let _ = self.send.finish();
    }

    /// Gives up on the stream: both halves are abandoned.
    pub fn abandon(mut self) {
        let _ = self.send.reset(0_u32.into());
        let _ = self.recv.stop(0_u32.into());
    }

    /// So many bytes without taking them; `None` where the stream finishes before the first.
    async fn peek(&mut self, length: usize) -> Result<Option<&[u8]>, Broken> {
        while self.buffer.len() - self.start < length {
            self.buffer.drain(..self.start);
            self.start = 0;
            match self.recv.read_chunk(PIECE, true).await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk.bytes),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(Broken::Short),
            }
        }
        Ok(Some(&self.buffer[self.start..self.start + length]))
    }

    /// The bytes that came and were not read, and more; empty at the end of the stream.
    pub(super) async fn fill(&mut self) -> Result<&[u8], Broken> {
        self.buffer.drain(..self.start);
        self.start = 0;
        if let Some(chunk) = self.recv.read_chunk(PIECE, true).await? {
            self.buffer.extend_from_slice(&chunk.bytes);
        }
        Ok(&self.buffer[self.start..])
    }
}

impl From<(SendStream, RecvStream)> for Stream {
    fn from((send, recv): (SendStream, RecvStream)) -> Self {
        Self { send, recv, buffer: Vec::new(), start: 0 }
    }
}

impl Answer {
    /// The code of a refusal, `""` where it is none.
    #[must_use]
    pub fn code(&self) -> &str {
        match &self.end {
            End::Eof(_) => "",
            End::Error { code, .. } => code,
        }
    }

    /// The words of a refusal, `""` where it is none.
    #[must_use]
    pub fn message(&self) -> &str {
        match &self.end {
            End::Eof(_) => "",
            End::Error { message, .. } => message,
        }
    }

    /// The object of the Eof.
    ///
    /// # Panics
    /// Where it is a refusal.
    pub fn eof(&self) -> &Value {
        match &self.end {
            End::Eof(end) => end,
            End::Error { code, message } => panic!("refused with {code}: {message}"),
        }
    }

    /// The only reply of a complete answer.
    ///
    /// # Panics
    /// Where there are none or more, or it is a refusal.
    #[must_use]
    pub fn reply(&self) -> &Value {
        self.eof();
        assert_eq!(self.replies.len(), 1, "one reply: {:?}", self.replies);
        &self.replies[0]
    }
}

impl End {
    /// # Panics
    /// Where the frame is no end.
    pub(super) fn of(frame: &RawFrame) -> Self {
        let object = frame.value();
        match frame.kind {
            kind::EOF => Self::Eof(object),
            kind::ERROR => {
                let text = |field: &str| object[field].as_str().expect("a text").to_owned();
                Self::Error { code: text("code"), message: text("message") }
            }
            _ => panic!("no frame for this place: {frame:?}"),
        }
    }
}

impl From<ReadError> for Broken {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(code) => Self::Reset(code),
            ReadError::ConnectionLost(error) => Self::Connection(error),
            other => panic!("{other}"),
        }
    }
}

impl From<WriteError> for Broken {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped(code) => Self::Stopped(code),
            WriteError::ConnectionLost(error) => Self::Connection(error),
            other => panic!("{other}"),
        }
    }
}
