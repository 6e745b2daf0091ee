//! A file's content on a stream: Data frames by the rules, hashed; at the end Received.

use serde_json::{Value, json};

use super::frame::{RawFrame, kind};
use super::stream::{Answer, Broken, End, Stream};
use crate::deadline::{PATIENCE, within};

/// What a whole Data frame carries.
const CHUNK: usize = 1024;

/// Content that is being received.
#[derive(Debug)]
pub struct Download {
    /// What the server said first.
    pub head: Value,
    /// The stream, for whatever a story wants to do to it.
    pub stream: Stream,
    frames: u64,
    bytes: u64,
    short: bool,
    hasher: blake3::Hasher,
}

/// Content that came whole: the Eof's size and hash are right, and every Data frame but the last is full.
#[derive(Debug)]
pub struct Content {
    /// How many Data frames there were.
    pub frames: u64,
    /// How many bytes of the file.
    pub bytes: u64,
    /// Their hash, in hex.
    pub hash: String,
    stream: Stream,
}

impl Stream {
    /// The answer to a get: its head, then content to be read.
    ///
    /// # Errors
    /// The [`Answer`], where it is a refusal.
    ///
    /// # Panics
    /// Where the answer breaks the rules, or does not come.
    pub async fn download(mut self) -> Result<Download, Answer> {
        let head = within(PATIENCE, "the head of a file", self.read_frame()).await.unwrap();
        let head = head.expect("an answer");
        if head.kind == kind::REPLY {
            return Ok(Download::new(self, head.value()));
        }
        let after = self.read_frame().await.unwrap();
        assert_eq!(after, None, "after a refusal");
        Err(Answer { replies: Vec::new(), end: End::of(&head) })
    }
}

impl Download {
    pub(super) fn new(stream: Stream, head: Value) -> Self {
        Self { head, stream, frames: 0, bytes: 0, short: false, hasher: blake3::Hasher::new() }
    }

    /// The announced size.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.head["size"].as_u64().expect("a size")
    }

    /// How many bytes of the file came so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads Data frames until at least so many bytes of the file came.
    ///
    /// # Panics
    /// Where they do not come.
    pub async fn read_to(&mut self, bytes: u64) {
        while self.bytes < bytes {
            if let Some(end) = self.step().await.unwrap() {
                panic!("ended after {} bytes: {end:?}", self.bytes);
            }
        }
    }

    /// Reads to the end of the stream.
    ///
    /// # Errors
    /// The [`Answer`], where it is a refusal.
    ///
    /// # Panics
    /// Where a rule is broken, or the stream.
    pub async fn finish(self) -> Result<Content, Answer> {
        self.try_finish().await.expect("a whole answer")
    }

    /// The same, for a story in which the stream may break.
    ///
    /// # Errors
    /// [`Broken`]; within, the [`Answer`], where it is a refusal.
    ///
    /// # Panics
    /// Where a rule is broken.
    pub async fn try_finish(mut self) -> Result<Result<Content, Answer>, Broken> {
        let end = loop {
            if let Some(end) = self.step().await? {
                break end;
            }
        };
        let after = self.stream.read_frame().await?;
        assert_eq!(after, None, "after the end of content");
        let End::Eof(eof) = end else {
            return Ok(Err(Answer { replies: vec![self.head], end }));
        };
        assert_eq!(self.bytes, self.size(), "the bytes that were announced");
        assert_eq!(eof["size"].as_u64(), Some(self.bytes), "the size in the Eof");
        let hash = self.hasher.finalize().to_hex().to_string();
        assert_eq!(eof["blake3"], json!(hash), "the hash in the Eof");
        let Self { frames, bytes, stream, .. } = self;
        Ok(Ok(Content { frames, bytes, hash, stream }))
    }

    /// Takes the Data frames that are there, or the frame that ends them.
    async fn step(&mut self) -> Result<Option<End>, Broken> {
        loop {
            let there = &self.stream.buffer[self.stream.start..];
            let [frame, high, low, rest @ ..] = there else {
                self.more().await?;
                continue;
            };
            let (frame, length) = (*frame, usize::from(u16::from_be_bytes([*high, *low])));
            if rest.len() < length {
                self.more().await?;
                continue;
            }
            let payload = &rest[..length];
            if frame != kind::DATA {
                let frame = RawFrame::new(frame, payload);
                self.stream.start += 3 + length;
                return Ok(Some(End::of(&frame)));
            }
            assert!((1..=CHUNK).contains(&length), "a Data frame of {length} bytes");
            assert!(!self.short, "only the last Data frame is shorter");
            self.short = length < CHUNK;
            self.hasher.update(payload);
            self.stream.start += 3 + length;
            self.frames += 1;
            self.bytes += length as u64;
            if self.frames.is_multiple_of(1024) {
                return Ok(None);
            }
            if self.stream.start == self.stream.buffer.len() {
                return Ok(None);
            }
        }
    }

    async fn more(&mut self) -> Result<(), Broken> {
        let had = self.stream.buffer.len() - self.stream.start;
        let has = within(PATIENCE, "more content", self.stream.fill()).await?.len();
        if has == had { Err(Broken::Short) } else { Ok(()) }
    }
}

impl Content {
    /// Says that the content is safe, and waits until that has arrived.
    ///
    /// # Panics
    /// Where it cannot be said.
    pub async fn received(self) {
        let hash = self.hash.clone();
        self.received_as(&hash).await;
    }

    /// Says so with any hash.
    ///
    /// # Panics
    /// Where it cannot be said.
    pub async fn received_as(self, hash: &str) {
        let mut stream = self.stream;
        stream
            .write_frame(&RawFrame::json(kind::RECEIVED, &json!({"blake3": hash})))
            .await
            .unwrap();
        stream.finish();
        within(PATIENCE, "Received to arrive", stream.send.stopped()).await.unwrap();
    }

    /// The stream, whose other half is still open.
    #[must_use]
    pub fn into_stream(self) -> Stream {
        self.stream
    }
}
