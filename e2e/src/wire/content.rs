//! A received file's content on a stream: valid Data frames, hashed; at the end Received.

use serde_json::{Value, json};

use super::frame::{RawFrame, kind};
use super::stream::{RawResponse, RawStream, RawStreamError, ResponseEnd};
use crate::deadline::{TIMEOUT, wait_within};

/// Payload bytes of a full Data frame.
const CHUNK: usize = 1024;

/// A file that is being received.
#[derive(Debug)]
pub struct RawDownload {
    /// The server's first reply.
    pub head: Value,
    /// The stream, for direct access.
    pub stream: RawStream,
    frames: u64,
    bytes: u64,
    has_short_frame: bool,
    hasher: blake3::Hasher,
}

/// Content that was received completely: the Eof's size and hash match, and each Data frame but the last is full.
#[derive(Debug)]
pub struct RawContent {
    /// Number of Data frames.
    pub frames: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// BLAKE3 hash of the bytes, in hex.
    pub hash: String,
    stream: RawStream,
}

impl RawStream {
    /// Reads the head of the response to a get; the content follows.
    ///
    /// # Errors
    /// The [`RawResponse`] if it is a refusal.
    ///
    /// # Panics
    /// If the response breaks the protocol, or does not arrive.
    pub async fn read_head(mut self) -> Result<RawDownload, RawResponse> {
        let head = wait_within(TIMEOUT, "the head of a file", self.read_frame()).await.unwrap();
        let head = head.expect("a response");
        if head.kind == kind::REPLY {
            return Ok(RawDownload::new(self, head.value()));
        }
        let after = self.read_frame().await.unwrap();
        assert_eq!(after, None, "after a refusal");
        Err(RawResponse { replies: Vec::new(), end: ResponseEnd::from_frame(&head) })
    }
}

impl RawDownload {
    pub(super) fn new(stream: RawStream, head: Value) -> Self {
        Self {
            head,
            stream,
            frames: 0,
            bytes: 0,
            has_short_frame: false,
            hasher: blake3::Hasher::new(),
        }
    }

    /// The announced size.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.head["size"].as_u64().expect("a size")
    }

    /// Bytes of the file received so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads Data frames until at least `bytes` of the file are received.
    ///
    /// # Panics
    /// If they do not arrive.
    pub async fn read_at_least(&mut self, bytes: u64) {
        while self.bytes < bytes {
            if let Some(end) = self.read_buffered().await.unwrap() {
                panic!("ended after {} bytes: {end:?}", self.bytes);
            }
        }
    }

    /// Reads to the end of the stream.
    ///
    /// # Errors
    /// The [`RawResponse`] if it is a refusal.
    ///
    /// # Panics
    /// If the response breaks the protocol, or the stream fails.
    pub async fn finish(self) -> Result<RawContent, RawResponse> {
        self.try_finish().await.expect("a whole response")
    }

    /// Like [`finish`](Self::finish), for a story in which the stream may fail.
    ///
    /// # Errors
    /// [`RawStreamError`]; the inner error is the [`RawResponse`] if it is a refusal.
    ///
    /// # Panics
    /// If the response breaks the protocol.
    pub async fn try_finish(mut self) -> Result<Result<RawContent, RawResponse>, RawStreamError> {
        let end = loop {
            if let Some(end) = self.read_buffered().await? {
                break end;
            }
        };
        let after = self.stream.read_frame().await?;
        assert_eq!(after, None, "after the end of content");
        let ResponseEnd::Eof(eof) = end else {
            return Ok(Err(RawResponse { replies: vec![self.head], end }));
        };
        assert_eq!(self.bytes, self.size(), "the bytes that were announced");
        assert_eq!(eof["size"].as_u64(), Some(self.bytes), "the size in the Eof");
        let hash = self.hasher.finalize().to_hex().to_string();
        assert_eq!(eof["blake3"], json!(hash), "the hash in the Eof");
        let Self { frames, bytes, stream, .. } = self;
        Ok(Ok(RawContent { frames, bytes, hash, stream }))
    }

    /// Reads the buffered Data frames, or the frame that ends the content.
    async fn read_buffered(&mut self) -> Result<Option<ResponseEnd>, RawStreamError> {
        loop {
            let unread = &self.stream.buffer[self.stream.start..];
            let [frame, high, low, rest @ ..] = unread else {
                self.read_more().await?;
                continue;
            };
            let (frame, length) = (*frame, usize::from(u16::from_be_bytes([*high, *low])));
            if rest.len() < length {
                self.read_more().await?;
                continue;
            }
            let payload = &rest[..length];
            if frame != kind::DATA {
                let frame = RawFrame::new(frame, payload);
                self.stream.start += 3 + length;
                return Ok(Some(ResponseEnd::from_frame(&frame)));
            }
            assert!((1..=CHUNK).contains(&length), "a Data frame of {length} bytes");
            assert!(!self.has_short_frame, "only the last Data frame is shorter");
            self.has_short_frame = length < CHUNK;
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

    async fn read_more(&mut self) -> Result<(), RawStreamError> {
        let before = self.stream.buffer.len() - self.stream.start;
        let after = wait_within(TIMEOUT, "more content", self.stream.fill()).await?.len();
        if after == before { Err(RawStreamError::Short) } else { Ok(()) }
    }
}

impl RawContent {
    /// Sends Received, and waits until the server has received it.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub async fn acknowledge(self) {
        let hash = self.hash.clone();
        self.acknowledge_with(&hash).await;
    }

    /// Sends Received with any hash.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub async fn acknowledge_with(self, hash: &str) {
        let mut stream = self.stream;
        stream
            .write_frame(&RawFrame::json(kind::RECEIVED, &json!({"blake3": hash})))
            .await
            .unwrap();
        stream.finish();
        wait_within(TIMEOUT, "the server to receive Received", stream.send.stopped())
            .await
            .unwrap();
    }

    /// The stream, whose sending half is still open.
    #[must_use]
    pub fn into_stream(self) -> RawStream {
        self.stream
    }
}
