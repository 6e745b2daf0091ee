//! Sending: a file becomes Data frames, hashed on the way.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use quiver_protocol::chunk::{BLOCK, FRAMED_BLOCK, HEADROOM, frame_in_place};
use quiver_protocol::limits::CHUNK;
use quiver_protocol::{ContentEnd, ContentHash};
use thiserror::Error;
use tokio::task::{self, JoinHandle};

use crate::stream::{FrameWriter, StreamError};

/// An open file whose content is sent: as many bytes as it had when it was opened.
#[derive(Debug)]
pub struct Source {
    file: File,
    size: u64,
    seen: Stamp,
}

/// What tells an appended file from a rewritten one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: SystemTime,
}

/// Why content was not sent to its end.
#[derive(Debug, Error)]
pub enum SendError {
    /// The file shrank or was rewritten meanwhile.
    #[error("the file changed while it was sent")]
    Changed,
    /// The file could not be read.
    #[error("cannot read the file: {0}")]
    Disk(#[from] io::Error),
    /// The stream broke off.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl Source {
    /// Takes an open file and fixes its length.
    ///
    /// # Errors
    /// What the system says of its size and time.
    pub fn new(file: File) -> io::Result<Self> {
        let seen = Stamp::of(&file)?;
        Ok(Self { size: seen.size, file, seen })
    }

    /// Bytes that will be sent.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// When the content was last modified.
    #[must_use]
    pub fn modified(&self) -> SystemTime {
        self.seen.modified
    }

    /// What is appended does not matter: it moves the time and the end. A new time at an old size
    /// means that content was rewritten. Times have the grain of the kernel's tick, so what is
    /// rewritten within a few milliseconds of the opening may go unseen.
    fn check(&mut self) -> Result<(), SendError> {
        let now = Stamp::of(&self.file)?;
        let appended = now.size > self.seen.size;
        if now.size < self.size || (now.modified != self.seen.modified && !appended) {
            return Err(SendError::Changed);
        }
        self.seen = now;
        Ok(())
    }
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { size: metadata.len(), modified: metadata.modified()? })
    }
}

/// Sends a file's content as Data frames, and returns what its Eof has to say. `progress` hears of
/// each block's bytes once QUIC has taken them.
///
/// Holds two blocks, and one to spare, beside QUIC's send window. `block` is how many file bytes each
/// has: whole chunks, at most [`BLOCK`], which is the fastest; less is for those who send many files at
/// once.
///
/// # Errors
/// [`SendError`]. The stream is then without an Eof: the caller says why, in an Error.
pub async fn send(
    writer: &mut FrameWriter,
    source: Source,
    block: usize,
    mut progress: impl FnMut(u64),
) -> Result<ContentEnd, SendError> {
    writer.flush().await?;
    writer.carry_content();
    let mut next = BlockReader::new(source, block).start();
    loop {
        let Step { reader, block } = finished(next).await?;
        let Some((framed, length)) = block else {
            let blake3 = ContentHash(*reader.hasher.finalize().as_bytes());
            return Ok(ContentEnd { size: reader.source.size, blake3 });
        };
        // The next block is read while this one leaves.
        next = reader.start();
        writer.write_block(framed).await?;
        progress(length as u64);
        // Messages get their turn even where the network takes everything at once.
        task::yield_now().await;
    }
}

/// Reads, hashes and frames block after block, on whatever blocking thread is free.
struct BlockReader {
    source: Source,
    block: usize,
    offset: u64,
    hasher: blake3::Hasher,
    buffers: Buffers,
}

struct Step {
    reader: BlockReader,
    /// The frames of a block and its file bytes; `None` at the end of the file.
    block: Option<(Bytes, usize)>,
}

impl BlockReader {
    fn new(source: Source, block: usize) -> Self {
        // Only a file's last chunk may be short.
        let block = (block / CHUNK * CHUNK).clamp(CHUNK, BLOCK);
        let (hasher, buffers) = (blake3::Hasher::new(), Buffers::default());
        Self { source, block, offset: 0, hasher, buffers }
    }

    fn start(self) -> JoinHandle<Result<Step, SendError>> {
        task::spawn_blocking(move || self.step())
    }

    fn step(mut self) -> Result<Step, SendError> {
        let left = self.source.size - self.offset;
        if left == 0 {
            self.source.check()?;
            return Ok(Step { reader: self, block: None });
        }
        let length = usize::try_from(left).map_or(self.block, |left| left.min(self.block));
        let mut buffer = self.buffers.take(length);
        let content = &mut buffer[HEADROOM..HEADROOM + length];
        self.source.file.read_exact_at(content, self.offset).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                SendError::Changed
            } else {
                SendError::Disk(error)
            }
        })?;
        self.source.check()?;
        self.hasher.update(content);
        self.offset += length as u64;
        let framed = frame_in_place(&mut buffer, length);
        let block = Some((self.buffers.lend(buffer, framed), length));
        Ok(Step { reader: self, block })
    }
}

async fn finished(step: JoinHandle<Result<Step, SendError>>) -> Result<Step, SendError> {
    match step.await {
        Ok(step) => step,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is going down.
        Err(error) => Err(SendError::Disk(io::Error::other(error))),
    }
}

/// Block buffers that come back once QUIC needs them no more. One of them is kept for the next block; a
/// transfer that stalls would hold any others for nothing.
#[derive(Debug, Clone, Default)]
struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

struct Lent {
    buffer: Vec<u8>,
    length: usize,
    home: Buffers,
}

impl Buffers {
    /// A buffer for a block of `length` bytes. Small files do not pay for a whole block.
    fn take(&self, length: usize) -> Vec<u8> {
        let mut buffer = self.lock().pop().unwrap_or_default();
        let size = if length == BLOCK { FRAMED_BLOCK } else { HEADROOM + length };
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        buffer
    }

    fn lend(&self, buffer: Vec<u8>, length: usize) -> Bytes {
        Bytes::from_owner(Lent { buffer, length, home: self.clone() })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut home = self.home.lock();
        if home.is_empty() {
            home.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn source(content: &[u8]) -> (tempfile::NamedTempFile, Source) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        // A day ago, so that any write is seen whatever the clock's grain.
        let yesterday = SystemTime::now() - std::time::Duration::from_secs(86_400);
        file.as_file().set_modified(yesterday).unwrap();
        let source = Source::new(file.reopen().unwrap()).unwrap();
        (file, source)
    }

    #[test]
    fn what_is_appended_does_not_matter() {
        let (mut file, mut source) = source(b"content");
        file.write_all(b" and more").unwrap();
        source.check().unwrap();
        file.write_all(b" and more").unwrap();
        source.check().unwrap();
        assert_eq!(source.size(), 7);
    }

    #[test]
    fn what_shrinks_or_is_rewritten_has_changed() {
        let (file, mut shrunk) = source(b"content");
        file.as_file().set_len(3).unwrap();
        assert!(matches!(shrunk.check(), Err(SendError::Changed)));

        let (file, mut rewritten) = source(b"content");
        file.as_file().write_all_at(b"CON", 0).unwrap();
        assert!(matches!(rewritten.check(), Err(SendError::Changed)));
    }

    #[test]
    fn a_new_file_under_the_name_does_not_matter() {
        let (file, mut source) = source(b"content");
        let mut other = tempfile::NamedTempFile::new().unwrap();
        other.write_all(b"x").unwrap();
        other.persist(file.path()).unwrap();
        source.check().unwrap();
    }

    #[test]
    fn one_buffer_comes_back() {
        let buffers = Buffers::default();
        let lent = [buffers.lend(buffers.take(BLOCK), 10), buffers.lend(buffers.take(BLOCK), 10)];
        assert_eq!((lent[0].len(), buffers.lock().len()), (10, 0));
        drop(lent);
        assert_eq!(buffers.lock().len(), 1);
        assert_eq!(buffers.take(5).len(), FRAMED_BLOCK);
    }
}
