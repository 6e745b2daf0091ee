//! A file's content on its way to the server: Data frames by the rules, or against them; at the end
//! Received.

use serde_json::{Value, json};

use super::client::Client;
use super::frame::{RawFrame, kind};
use super::stream::{Answer, Broken, End, Stream};
use crate::deadline::{PATIENCE, within};

/// What a whole Data frame carries.
const CHUNK: usize = 1024;

/// Frames that are written at once.
const WRITE: usize = 256 * CHUNK;

/// A put that the server is ready for.
#[derive(Debug)]
pub struct Upload {
    /// What the server said first.
    pub ready: Value,
    /// The stream, for whatever a story wants to do to it.
    pub stream: Stream,
    /// How many Data frames were sent.
    pub frames: u64,
}

/// A file that the server says is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its hash, by the server.
    pub hash: String,
    /// What was received and stored, each time the server told.
    pub progress: Vec<(u64, u64)>,
    /// How many Data frames it took.
    pub frames: u64,
}

/// The BLAKE3 hash of a content, in hex.
#[must_use]
pub fn hash(content: &[u8]) -> String {
    blake3::hash(content).to_hex().to_string()
}

impl Client {
    /// Asks to put a file.
    ///
    /// # Errors
    /// The [`Answer`], where it is refused.
    ///
    /// # Panics
    /// Where there is no answer.
    pub async fn put(&self, path: &str, size: impl Into<Value>) -> Result<Upload, Answer> {
        self.put_as(json!({"command": "put", "path": path, "size": size.into()})).await
    }

    /// The same, with any fields.
    ///
    /// # Errors
    /// The [`Answer`], where it is refused.
    ///
    /// # Panics
    /// Where there is no answer.
    pub async fn put_as(&self, request: Value) -> Result<Upload, Answer> {
        let mut stream = self.open().await.unwrap();
        stream.write_frame(&RawFrame::request(&request)).await.unwrap();
        stream.ready().await
    }

    /// Puts a file, whole.
    ///
    /// # Errors
    /// The [`Answer`], where it is refused.
    ///
    /// # Panics
    /// Where there is no answer, or a rule is broken.
    pub async fn store(&self, path: &str, content: &[u8]) -> Result<Stored, Answer> {
        self.put(path, content.len()).await?.send(content).await
    }

    /// The code a put is refused with, `""` where the file is stored.
    ///
    /// # Panics
    /// Where there is no answer, or a rule is broken.
    pub async fn store_code(&self, path: &str, content: &[u8]) -> String {
        self.store(path, content)
            .await
            .map_or_else(|answer| answer.code().to_owned(), |_| String::new())
    }
}

impl Stream {
    /// The answer to a put: ready.
    ///
    /// # Errors
    /// The [`Answer`], where it is a refusal.
    ///
    /// # Panics
    /// Where the answer breaks the rules, or does not come.
    pub async fn ready(mut self) -> Result<Upload, Answer> {
        let ready = within(PATIENCE, "the server to be ready", self.read_frame()).await.unwrap();
        let ready = ready.expect("an answer");
        if ready.kind == kind::REPLY {
            let ready = ready.value();
            assert_eq!(ready["reply"], "ready");
            return Ok(Upload { ready, stream: self, frames: 0 });
        }
        let after = self.read_frame().await.unwrap();
        assert_eq!(after, None, "after a refusal");
        Err(Answer { replies: Vec::new(), end: End::of(&ready) })
    }
}

impl Upload {
    /// How many bytes of an earlier attempt the server has, and their hash.
    #[must_use]
    pub fn have(&self) -> Option<(u64, &str)> {
        let have = self.ready.get("have")?;
        Some((have["size"].as_u64()?, have["blake3"].as_str()?))
    }

    /// Says where the content begins.
    pub async fn begin(&mut self, offset: u64) {
        self.say(&RawFrame::json(kind::REPLY, &json!({"reply": "content", "offset": offset})))
            .await;
    }

    /// Sends bytes of the file. Whole chunks, unless they are the last.
    pub async fn data(&mut self, content: &[u8]) {
        for block in content.chunks(WRITE) {
            let mut frames = Vec::with_capacity(block.len() + block.len() / 64 + 3);
            for chunk in block.chunks(CHUNK) {
                frames.extend(RawFrame::new(kind::DATA, chunk).encode());
                self.frames += 1;
            }
            self.raw(&frames).await;
        }
    }

    /// Sends the end of the content.
    pub async fn eof(&mut self, size: u64, hash: &str) {
        self.say(&RawFrame::json(kind::EOF, &json!({"size": size, "blake3": hash}))).await;
    }

    /// Sends any frame.
    pub async fn say(&mut self, frame: &RawFrame) {
        self.raw(&frame.encode()).await;
    }

    /// Sends any bytes.
    ///
    /// # Panics
    /// Where the connection is gone. That the server wants no more is no reason: its answer says why.
    pub async fn raw(&mut self, bytes: &[u8]) {
        match self.stream.write(bytes).await {
            Ok(()) | Err(Broken::Stopped(_)) => {}
            Err(broken) => panic!("{broken:?}"),
        }
    }

    /// Sends a whole file as it should be, from what the server has on if that is how it begins, and
    /// waits for what comes of it.
    ///
    /// # Errors
    /// The [`Answer`], where it is refused.
    ///
    /// # Panics
    /// Where there is no answer, or a rule is broken.
    pub async fn send(mut self, content: &[u8]) -> Result<Stored, Answer> {
        let offset = match self.have() {
            Some((size, blake3)) if size <= content.len() as u64 => {
                let size = size as usize;
                if hash(&content[..size]) == blake3 { size } else { 0 }
            }
            _ => 0,
        };
        self.begin(offset as u64).await;
        self.data(&content[offset..]).await;
        let whole = hash(content);
        self.eof(content.len() as u64, &whole).await;
        let stored = self.finish().await?;
        assert_eq!(stored.hash, whole, "the hash in Received");
        Ok(stored)
    }

    /// Finishes the sending half and waits for what comes of it.
    ///
    /// # Errors
    /// The [`Answer`], where it is refused.
    ///
    /// # Panics
    /// Where there is no answer, or a rule is broken.
    pub async fn finish(mut self) -> Result<Stored, Answer> {
        self.stream.finish();
        within(PATIENCE, "the end of a put", self.answer()).await
    }

    /// What comes of it, whether the sending half is finished or not.
    ///
    /// # Errors
    /// The [`Answer`], where it is refused.
    ///
    /// # Panics
    /// Where the stream breaks, or a rule is broken.
    pub async fn answer(&mut self) -> Result<Stored, Answer> {
        let mut progress: Vec<(u64, u64)> = Vec::new();
        let mut received = None;
        let end = loop {
            let frame = self.stream.read_frame().await.unwrap().expect("an end of the answer");
            match frame.kind {
                kind::REPLY => {
                    assert_eq!(received, None, "a reply after Received");
                    let reply = frame.value();
                    assert_eq!(reply["reply"], "progress");
                    let number = |field: &str| reply[field].as_u64().expect("a number");
                    let now = (number("received"), number("stored"));
                    assert!(now.1 <= now.0, "more was stored than came: {reply}");
                    let before = progress.last().copied().unwrap_or_default();
                    assert!(before.0 <= now.0 && before.1 <= now.1, "it went back: {reply}");
                    progress.push(now);
                }
                kind::RECEIVED => {
                    let hash = frame.value()["blake3"].as_str().expect("a hash").to_owned();
                    assert_eq!(received.replace(hash), None, "one Received");
                }
                _ => break End::of(&frame),
            }
        };
        let after = self.stream.read_frame().await.unwrap();
        assert_eq!(after, None, "after the end of an answer");
        match (&end, received) {
            (End::Eof(end), Some(hash)) => {
                assert_eq!(end, &json!({}), "nothing to say");
                Ok(Stored { hash, progress, frames: self.frames })
            }
            (End::Error { .. }, None) => Err(Answer { replies: Vec::new(), end }),
            (end, received) => panic!("Received {received:?}, then {end:?}"),
        }
    }
}
