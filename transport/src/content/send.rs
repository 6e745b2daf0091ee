//! Sending: a file becomes Data frames, hashed on the way.

mod buffers;

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use quiver_protocol::chunk::{BLOCK, HEADROOM, frame_in_place};
use quiver_protocol::limits::CHUNK;
use quiver_protocol::{ContentEnd, ContentHash, Prefix};
use thiserror::Error;
use tokio::task::{self, JoinHandle};

use self::buffers::Buffers;
use super::hop::{self, Company};
use super::times::{Times, Visit};
use super::{Hashed, SMALL};
use crate::stream::{FrameWriter, StreamError};
use crate::unix;

/// Where content comes from.
pub struct Source(Origin);

enum Origin {
    /// As many bytes as it had when it was opened.
    File(OpenFile),
    /// The same of a small one, all read.
    Memory(Loaded),
    /// As many as come.
    Pipe(Box<dyn Read + Send + Sync>),
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    size: u64,
    executable: bool,
    seen: Stamp,
}

struct Loaded {
    bytes: Vec<u8>,
    executable: bool,
    modified: SystemTime,
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
        let metadata = file.metadata()?;
        Self::of(file, &metadata)
    }

    /// The same, with what was just asked of the file.
    ///
    /// # Errors
    /// What the system says of its time.
    pub fn of(file: File, metadata: &Metadata) -> io::Result<Self> {
        let (seen, executable) = (Stamp::of(metadata)?, unix::is_executable(metadata));
        Ok(Self(Origin::File(OpenFile { size: seen.size, executable, file, seen })))
    }

    /// Reads a [small](SMALL) file at once, so that nobody waits for another thread when it is sent. Blocks.
    ///
    /// # Errors
    /// What the system says.
    pub fn load(self) -> io::Result<Self> {
        let mut file = match self.0 {
            Origin::File(file) if file.size <= SMALL => file,
            other => return Ok(Self(other)),
        };
        let mut bytes = vec![0; usize::try_from(file.size).unwrap_or(0)];
        let read = match file.file.read_exact_at(&mut bytes, 0) {
            Ok(()) => file.check(),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(SendError::Changed),
            Err(error) => Err(error.into()),
        };
        match read {
            Ok(()) => {
                let (executable, modified) = (file.executable, file.seen.modified);
                Ok(Self(Origin::Memory(Loaded { bytes, executable, modified })))
            }
            Err(SendError::Disk(error)) => Err(error),
            // That it has changed is said when it is sent.
            Err(SendError::Changed | SendError::Stream(_)) => Ok(Self(Origin::File(file))),
        }
    }

    /// All of it, hashed; `None` where it has shrunk, or is a pipe.
    ///
    /// # Errors
    /// What the system says.
    pub async fn whole(&self) -> io::Result<Option<Hashed>> {
        match &self.0 {
            Origin::Memory(Loaded { bytes, .. }) => Ok(Some(Hashed::of_bytes(bytes))),
            Origin::File(file) => Hashed::of(&file.file, file.size).await,
            Origin::Pipe(_) => Ok(None),
        }
    }

    /// Takes what comes out of a pipe, up to its end. It is read on blocking threads.
    #[must_use]
    pub fn pipe(pipe: impl Read + Send + Sync + 'static) -> Self {
        Self(Origin::Pipe(Box::new(pipe)))
    }

    /// Bytes of a file; `None` of a pipe.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match &self.0 {
            Origin::File(file) => Some(file.size),
            Origin::Memory(Loaded { bytes, .. }) => Some(bytes.len() as u64),
            Origin::Pipe(_) => None,
        }
    }

    /// When a file's content was last modified; `None` of a pipe.
    #[must_use]
    pub fn modified(&self) -> Option<SystemTime> {
        match &self.0 {
            Origin::File(file) => Some(file.seen.modified),
            Origin::Memory(loaded) => Some(loaded.modified),
            Origin::Pipe(_) => None,
        }
    }

    /// Whether a file is a program of its owner's.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        match &self.0 {
            Origin::File(file) => file.executable,
            Origin::Memory(loaded) => loaded.executable,
            Origin::Pipe(_) => false,
        }
    }

    /// Checks whether a file begins as somebody says: with so many bytes of this hash. If so, content
    /// need not be sent but from there on.
    ///
    /// # Errors
    /// What the system says.
    pub async fn proves(&self, claim: Prefix) -> io::Result<Option<Hashed>> {
        let hashed = match &self.0 {
            Origin::File(file) if claim.size <= file.size => {
                Hashed::of(&file.file, claim.size).await?
            }
            Origin::Memory(Loaded { bytes, .. }) => usize::try_from(claim.size)
                .ok()
                .and_then(|length| bytes.get(..length))
                .map(Hashed::of_bytes),
            Origin::File(_) | Origin::Pipe(_) => None,
        };
        Ok(hashed.filter(|hashed| hashed.prefix() == claim))
    }

    /// What follows `from`, where it is in memory and no more than a block.
    fn rest(&self, from: &Hashed, block: usize) -> Option<&[u8]> {
        let Origin::Memory(Loaded { bytes, .. }) = &self.0 else { return None };
        let rest = bytes.get(usize::try_from(from.length).ok()?..)?;
        (rest.len() <= block).then_some(rest)
    }

    /// Whether what was read so far may be believed.
    fn check(&mut self) -> Result<(), SendError> {
        match &mut self.0 {
            Origin::File(file) => file.check(),
            Origin::Memory(_) | Origin::Pipe(_) => Ok(()),
        }
    }

    /// Reads up to `most` bytes of what comes at `offset` to the front of `buffer`; fewer only at the end, where
    /// there are none. A file is to be [checked](Self::check) after that.
    fn read(&mut self, buffer: &mut [u8], offset: u64, most: usize) -> Result<usize, SendError> {
        match &mut self.0 {
            Origin::File(file) => file.read(buffer, offset, most),
            Origin::Memory(Loaded { bytes, .. }) => {
                let at = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let length = most.min(bytes.len() - at);
                buffer[..length].copy_from_slice(&bytes[at..at + length]);
                Ok(length)
            }
            Origin::Pipe(pipe) => {
                let mut length = 0;
                while length < most {
                    match pipe.read(&mut buffer[length..most]) {
                        Ok(0) => break,
                        Ok(count) => length += count,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(length)
            }
        }
    }
}

impl OpenFile {
    fn read(&self, buffer: &mut [u8], offset: u64, most: usize) -> Result<usize, SendError> {
        let left = self.size.saturating_sub(offset);
        let length = usize::try_from(left).map_or(most, |left| left.min(most));
        self.file.read_exact_at(&mut buffer[..length], offset).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                SendError::Changed
            } else {
                SendError::Disk(error)
            }
        })?;
        Ok(length)
    }

    /// What is appended does not matter: it moves the time and the end. A new time at an old size
    /// means that content was rewritten. Times have the grain of the kernel's tick, so what is
    /// rewritten within a few milliseconds of the opening may go unseen.
    fn check(&mut self) -> Result<(), SendError> {
        let now = Stamp::of(&self.file.metadata()?)?;
        let appended = now.size > self.seen.size;
        if now.size < self.size || (now.modified != self.seen.modified && !appended) {
            return Err(SendError::Changed);
        }
        self.seen = now;
        Ok(())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("size", &self.size()).finish_non_exhaustive()
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> io::Result<Self> {
        Ok(Self { size: metadata.len(), modified: metadata.modified()? })
    }
}

/// Sends a file's content from the end of `from` on as Data frames, and returns what its Eof has to say.
/// `progress` hears of each block's bytes once QUIC has taken them. What is in memory and no longer than a
/// block is gathered only, and leaves with what the caller says next.
///
/// Holds two blocks, and one to spare, beside QUIC's send window; four times as many where few transfers
/// run. `block` is how many file bytes each has: whole chunks, at most [`BLOCK`], which is the fastest;
/// less is for those who send many files at once.
///
/// # Errors
/// [`SendError`]. The stream is then without an Eof: the caller says why, in an Error.
pub async fn send(
    writer: &mut FrameWriter,
    source: Source,
    from: Hashed,
    block: usize,
    mut progress: impl FnMut(u64),
) -> Result<ContentEnd, SendError> {
    if let Some(bytes) = source.rest(&from, block) {
        // One write for the whole answer: what comes after it takes it along.
        writer.carry_content();
        writer.gather_content(bytes).map_err(StreamError::from)?;
        let (mut hasher, length) = (from.hasher, bytes.len() as u64);
        hasher.update(bytes);
        progress(length);
        let blake3 = ContentHash(*hasher.finalize().as_bytes());
        return Ok(ContentEnd { size: from.length + length, blake3, slowed_by: None });
    }
    writer.flush().await?;
    writer.carry_content();
    let mut times = Times::begin();
    if source.size().is_none() {
        times = times.of_pipe();
    }
    let mut next = BlockReader::new(source, from, block).start(1);
    let company = Company::join();
    loop {
        let since = Instant::now();
        let Step { reader, blocks, ended, visit } = next.finished().await?;
        times.waited(since, &visit);
        times.look();
        if ended {
            leave(writer, blocks, &mut progress).await?;
            times.moved();
            let blake3 = ContentHash(*reader.hasher.finalize().as_bytes());
            let slowed_by = times.brake(times.took());
            return Ok(ContentEnd { size: reader.offset, blake3, slowed_by });
        }
        // The next blocks are read while these leave.
        next = reader.start(company.blocks(hop::READ));
        leave(writer, blocks, &mut progress).await?;
        // Messages get their turn even where the network takes everything at once.
        task::yield_now().await;
    }
}

async fn leave(
    writer: &mut FrameWriter,
    blocks: Vec<Block>,
    progress: &mut impl FnMut(u64),
) -> Result<(), StreamError> {
    for block in blocks {
        writer.write_block(block.framed).await?;
        progress(block.length as u64);
    }
    Ok(())
}

/// Reads, hashes and frames blocks, on whatever blocking thread is free.
struct BlockReader {
    source: Source,
    block: usize,
    offset: u64,
    hasher: Box<blake3::Hasher>,
    buffers: Buffers,
}

/// A step on its way.
enum Hop {
    /// What is in memory takes no other thread.
    Here(Result<Step, SendError>),
    There(JoinHandle<Result<Step, SendError>>),
}

struct Step {
    reader: BlockReader,
    blocks: Vec<Block>,
    /// Whether these are the last.
    ended: bool,
    visit: Visit,
}

struct Block {
    framed: Bytes,
    /// Its file bytes.
    length: usize,
}

impl BlockReader {
    fn new(source: Source, from: Hashed, block: usize) -> Self {
        // Only a file's last chunk may be short.
        let block = (block / CHUNK * CHUNK).clamp(CHUNK, BLOCK);
        let Hashed { hasher, length: offset } = from;
        Self { source, block, offset, hasher, buffers: Buffers::default() }
    }

    /// Reads up to `most` blocks.
    fn start(self, most: usize) -> Hop {
        if matches!(self.source.0, Origin::Memory(_)) {
            return Hop::Here(self.step(most));
        }
        Hop::There(task::spawn_blocking(move || self.step(most)))
    }

    fn step(mut self, most: usize) -> Result<Step, SendError> {
        // What came out of a pipe does not wait for what has not come yet.
        let most = if self.source.size().is_some() { most } else { 1 };
        self.buffers.keep(most);
        let mut visit = Visit::begin();
        let (mut blocks, mut ended) = (Vec::with_capacity(most), false);
        while blocks.len() < most && !ended {
            match self.block(&mut visit)? {
                Some(block) => blocks.push(block),
                None => ended = true,
            }
            // A small file is one hop.
            ended |= self.source.size().is_some_and(|size| size <= self.offset);
        }
        self.source.check()?;
        visit.end();
        Ok(Step { reader: self, blocks, ended, visit })
    }

    /// The next block; `None` at the end.
    fn block(&mut self, visit: &mut Visit) -> Result<Option<Block>, SendError> {
        let mut buffer = self.buffers.take(self.next_length());
        let read = || self.source.read(&mut buffer[HEADROOM..], self.offset, self.block);
        let length = visit.on_disk(read)?;
        if length == 0 {
            return Ok(None);
        }
        self.hasher.update(&buffer[HEADROOM..HEADROOM + length]);
        self.offset += length as u64;
        let framed = frame_in_place(&mut buffer, length);
        Ok(Some(Block { framed: self.buffers.lend(buffer, framed), length }))
    }

    /// Room that the next block needs: small files do not pay for a whole one.
    fn next_length(&self) -> usize {
        let left = self.source.size().map_or(u64::MAX, |size| size.saturating_sub(self.offset));
        usize::try_from(left).map_or(self.block, |left| left.min(self.block))
    }
}

impl Hop {
    async fn finished(self) -> Result<Step, SendError> {
        let step = match self {
            Self::Here(step) => return step,
            Self::There(step) => step,
        };
        match step.await {
            Ok(step) => step,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is going down.
            Err(error) => Err(SendError::Disk(io::Error::other(error))),
        }
    }
}

#[cfg(test)]
mod tests;
