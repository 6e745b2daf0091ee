//! An upload to the server: valid or invalid Data frames; at the end the server's Received.

use serde_json::{Value, json};

use super::client::Client;
use super::frame::{RawFrame, kind};
use super::stream::{RawResponse, RawStream, RawStreamError, ResponseEnd};
use crate::deadline::{TIMEOUT, wait_within};

/// Payload bytes of a full Data frame.
const CHUNK: usize = 1024;

/// Content that is written at once, in bytes.
const BLOCK: usize = 256 * CHUNK;

/// A put whose request the server has accepted.
#[derive(Debug)]
pub struct RawUpload {
    /// The server's first reply.
    pub ready: Value,
    /// The stream, for direct access.
    pub stream: RawStream,
    /// Number of Data frames sent.
    pub frames: u64,
}

/// A file that the server has acknowledged as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// The server's hash of it.
    pub hash: String,
    /// Received and stored bytes of each progress reply.
    pub progress: Vec<(u64, u64)>,
    /// Number of Data frames.
    pub frames: u64,
}

/// The BLAKE3 hash of some content, in hex.
#[must_use]
pub fn hash(content: &[u8]) -> String {
    blake3::hash(content).to_hex().to_string()
}

impl Client {
    /// Requests to put a file.
    ///
    /// # Errors
    /// The [`RawResponse`] if it is refused.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn put(&self, path: &str, size: impl Into<Value>) -> Result<RawUpload, RawResponse> {
        self.put_as(json!({"command": "put", "path": path, "size": size.into()})).await
    }

    /// Sends any put request.
    ///
    /// # Errors
    /// The [`RawResponse`] if it is refused.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn put_as(&self, request: Value) -> Result<RawUpload, RawResponse> {
        let mut stream = self.open().await.unwrap();
        stream.write_frame(&RawFrame::request(&request)).await.unwrap();
        stream.read_ready().await
    }

    /// Puts a whole file.
    ///
    /// # Errors
    /// The [`RawResponse`] if it is refused.
    ///
    /// # Panics
    /// If there is no response, or it breaks the protocol.
    pub async fn store(&self, path: &str, content: &[u8]) -> Result<StoredFile, RawResponse> {
        self.put(path, content.len()).await?.send_file(content).await
    }

    /// The code a put is refused with; `""` if the file is stored.
    ///
    /// # Panics
    /// If there is no response, or it breaks the protocol.
    pub async fn store_code(&self, path: &str, content: &[u8]) -> String {
        self.store(path, content)
            .await
            .map_or_else(|response| response.code().to_owned(), |_| String::new())
    }
}

impl RawStream {
    /// Reads the `ready` reply to a put.
    ///
    /// # Errors
    /// The [`RawResponse`] if it is a refusal.
    ///
    /// # Panics
    /// If the response breaks the protocol, or does not arrive.
    pub async fn read_ready(mut self) -> Result<RawUpload, RawResponse> {
        let ready =
            wait_within(TIMEOUT, "the server to be ready", self.read_frame()).await.unwrap();
        let ready = ready.expect("a response");
        if ready.kind == kind::REPLY {
            let ready = ready.value();
            assert_eq!(ready["reply"], "ready");
            return Ok(RawUpload { ready, stream: self, frames: 0 });
        }
        let after = self.read_frame().await.unwrap();
        assert_eq!(after, None, "after a refusal");
        Err(RawResponse { replies: Vec::new(), end: ResponseEnd::from_frame(&ready) })
    }
}

impl RawUpload {
    /// The bytes that the server has of an earlier attempt, and their hash.
    #[must_use]
    pub fn have(&self) -> Option<(u64, &str)> {
        let have = self.ready.get("have")?;
        Some((have["size"].as_u64()?, have["blake3"].as_str()?))
    }

    /// Sends the offset at which the content starts.
    pub async fn send_offset(&mut self, offset: u64) {
        self.send_frame(&RawFrame::json(
            kind::REPLY,
            &json!({"reply": "content", "offset": offset}),
        ))
        .await;
    }

    /// Sends bytes of the file as full chunks; the last may be shorter.
    pub async fn send_data(&mut self, content: &[u8]) {
        for block in content.chunks(BLOCK) {
            let mut frames = Vec::with_capacity(block.len() + block.len() / 64 + 3);
            for chunk in block.chunks(CHUNK) {
                frames.extend(RawFrame::new(kind::DATA, chunk).encode());
                self.frames += 1;
            }
            self.send_bytes(&frames).await;
        }
    }

    /// Sends an Eof.
    pub async fn send_eof(&mut self, size: u64, hash: &str) {
        self.send_frame(&RawFrame::json(kind::EOF, &json!({"size": size, "blake3": hash}))).await;
    }

    /// Sends any frame.
    pub async fn send_frame(&mut self, frame: &RawFrame) {
        self.send_bytes(&frame.encode()).await;
    }

    /// Sends any bytes.
    ///
    /// # Panics
    /// If the connection has ended. A server that has stopped reading is no failure: its response says why.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        match self.stream.write(bytes).await {
            Ok(()) | Err(RawStreamError::Stopped(_)) => {}
            Err(broken) => panic!("{broken:?}"),
        }
    }

    /// Sends a whole file as the protocol requires, and waits for the outcome. Resumes at the bytes the server has
    /// if the file starts with them.
    ///
    /// # Errors
    /// The [`RawResponse`] if it is refused.
    ///
    /// # Panics
    /// If there is no response, or it breaks the protocol.
    pub async fn send_file(mut self, content: &[u8]) -> Result<StoredFile, RawResponse> {
        let offset = match self.have() {
            Some((size, blake3)) if size <= content.len() as u64 => {
                let size = size as usize;
                if hash(&content[..size]) == blake3 { size } else { 0 }
            }
            _ => 0,
        };
        self.send_offset(offset as u64).await;
        self.send_data(&content[offset..]).await;
        let expected = hash(content);
        self.send_eof(content.len() as u64, &expected).await;
        let stored = self.finish().await?;
        assert_eq!(stored.hash, expected, "the hash in Received");
        Ok(stored)
    }

    /// Finishes the sending half and waits for the outcome.
    ///
    /// # Errors
    /// The [`RawResponse`] if it is refused.
    ///
    /// # Panics
    /// If there is no response, or it breaks the protocol.
    pub async fn finish(mut self) -> Result<StoredFile, RawResponse> {
        self.stream.finish();
        wait_within(TIMEOUT, "the end of a put", self.read_outcome()).await
    }

    /// Reads the outcome, whether the sending half is finished or not.
    ///
    /// # Errors
    /// The [`RawResponse`] if it is refused.
    ///
    /// # Panics
    /// If the stream fails, or the response breaks the protocol.
    pub async fn read_outcome(&mut self) -> Result<StoredFile, RawResponse> {
        let mut progress: Vec<(u64, u64)> = Vec::new();
        let mut received = None;
        let end = loop {
            let frame = self.stream.read_frame().await.unwrap().expect("the end of the response");
            match frame.kind {
                kind::REPLY => {
                    assert_eq!(received, None, "a reply after Received");
                    let reply = frame.value();
                    assert_eq!(reply["reply"], "progress");
                    let number = |field: &str| reply[field].as_u64().expect("a number");
                    let now = (number("received"), number("stored"));
                    assert!(now.1 <= now.0, "more was stored than received: {reply}");
                    let before = progress.last().copied().unwrap_or_default();
                    assert!(before.0 <= now.0 && before.1 <= now.1, "progress decreased: {reply}");
                    progress.push(now);
                }
                kind::RECEIVED => {
                    let hash = frame.value()["blake3"].as_str().expect("a hash").to_owned();
                    assert_eq!(received.replace(hash), None, "one Received");
                }
                _ => break ResponseEnd::from_frame(&frame),
            }
        };
        let after = self.stream.read_frame().await.unwrap();
        assert_eq!(after, None, "after the end of a response");
        match (&end, received) {
            (ResponseEnd::Eof(end), Some(hash)) => {
                assert_eq!(end, &json!({}), "the Eof of a put");
                Ok(StoredFile { hash, progress, frames: self.frames })
            }
            (ResponseEnd::Error { .. }, None) => Err(RawResponse { replies: Vec::new(), end }),
            (end, received) => panic!("Received {received:?}, then {end:?}"),
        }
    }
}
