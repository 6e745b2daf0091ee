//! Sending: a file becomes Data frames, hashed as it is read.

mod buffers;

use std::time::Instant;

use bytes::Bytes;
use quiver_protocol::chunk::{BLOCK, HEADROOM, frame_in_place};
use quiver_protocol::limits::CHUNK;
use quiver_protocol::{ContentEnd, ContentHash};
use tokio::task::{self, JoinHandle};

use self::buffers::Buffers;
use crate::HashedPrefix;
use crate::batching::{self, ActiveTransfers};
use crate::send_error::SendError;
use crate::source::{ContentSource, Source};
use crate::timings::{DiskAccess, TransferTimings};
use quiver_transport::stream::{FrameWriter, StreamError};

/// Sends a file's content from the end of `from` on as Data frames, and returns what its Eof has to say.
/// `progress` hears of each block's bytes once QUIC has taken them. What is in memory and no longer than a
/// block is gathered only, and leaves with what the caller says next.
///
/// Holds two blocks, and one to spare, beside QUIC's send window; twice as many where few transfers
/// run. `block` is how many file bytes each has: whole chunks, at most [`BLOCK`], which is the fastest;
/// less is for those who send many files at once.
///
/// # Errors
/// [`SendError`]. The stream is then without an Eof: the caller says why, in an Error.
pub async fn send(
    writer: &mut FrameWriter,
    source: Source,
    from: HashedPrefix,
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
    let mut times = TransferTimings::begin();
    if matches!(source.0, ContentSource::Pipe(_)) {
        times = times.of_pipe();
    }
    let mut next = BlockReader::new(source, from, block).start(1);
    let active = ActiveTransfers::join();
    loop {
        let since = Instant::now();
        let ReadStep { reader, blocks, ended, access } = next.finished().await?;
        times.waited(since, &access);
        times.look();
        if ended {
            write_blocks(writer, blocks, &mut progress).await?;
            times.moved();
            let blake3 = ContentHash(*reader.hasher.finalize().as_bytes());
            let slowed_by = times.bottleneck(times.took());
            return Ok(ContentEnd { size: reader.offset, blake3, slowed_by });
        }
        // The next blocks are read while these leave.
        next = reader.start(active.blocks(batching::READ));
        write_blocks(writer, blocks, &mut progress).await?;
        // Messages get their turn even where the network takes everything at once.
        task::yield_now().await;
    }
}

async fn write_blocks(
    writer: &mut FrameWriter,
    blocks: Vec<ReadBlock>,
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

/// A step that was started.
enum StartedStep {
    /// Done at once: what is in memory takes no other thread.
    Done(Result<ReadStep, SendError>),
    Running(JoinHandle<Result<ReadStep, SendError>>),
}

struct ReadStep {
    reader: BlockReader,
    blocks: Vec<ReadBlock>,
    /// Whether these are the last.
    ended: bool,
    access: DiskAccess,
}

struct ReadBlock {
    framed: Bytes,
    /// Its file bytes.
    length: usize,
}

impl BlockReader {
    fn new(source: Source, from: HashedPrefix, block: usize) -> Self {
        // Only a file's last chunk may be short.
        let block = (block / CHUNK * CHUNK).clamp(CHUNK, BLOCK);
        let HashedPrefix { hasher, length: offset } = from;
        Self { source, block, offset, hasher, buffers: Buffers::default() }
    }

    /// Reads up to `most` blocks.
    fn start(self, most: usize) -> StartedStep {
        if matches!(self.source.0, ContentSource::Memory(_)) {
            return StartedStep::Done(self.step(most));
        }
        StartedStep::Running(task::spawn_blocking(move || self.step(most)))
    }

    fn step(mut self, most: usize) -> Result<ReadStep, SendError> {
        // What came out of a pipe does not wait for what has not come yet.
        let most = if self.source.size().is_some() { most } else { 1 };
        self.buffers.keep(most);
        let mut access = DiskAccess::begin();
        let (mut blocks, mut ended) = (Vec::with_capacity(most), false);
        while blocks.len() < most && !ended {
            match self.block(&mut access)? {
                Some(block) => blocks.push(block),
                None => ended = true,
            }
            // A small file is one step.
            ended |= self.source.size().is_some_and(|size| size <= self.offset);
        }
        self.source.check()?;
        access.end();
        Ok(ReadStep { reader: self, blocks, ended, access })
    }

    /// The next block; `None` at the end.
    fn block(&mut self, access: &mut DiskAccess) -> Result<Option<ReadBlock>, SendError> {
        let mut buffer = self.buffers.take(self.next_length());
        let read = || self.source.read(&mut buffer[HEADROOM..], self.offset, self.block);
        let length = access.on_disk(read)?;
        if length == 0 {
            return Ok(None);
        }
        self.hasher.update(&buffer[HEADROOM..HEADROOM + length]);
        self.offset += length as u64;
        let framed = frame_in_place(&mut buffer, length);
        Ok(Some(ReadBlock { framed: self.buffers.lend(buffer, framed), length }))
    }

    /// Room that the next block needs: small files do not pay for a whole one.
    fn next_length(&self) -> usize {
        let left = self.source.size().map_or(u64::MAX, |size| size.saturating_sub(self.offset));
        usize::try_from(left).map_or(self.block, |left| left.min(self.block))
    }
}

impl StartedStep {
    async fn finished(self) -> Result<ReadStep, SendError> {
        let step = match self {
            Self::Done(step) => return step,
            Self::Running(step) => step,
        };
        crate::blocking::task_result(step.await)
            .unwrap_or_else(|ending| Err(SendError::Disk(ending.into())))
    }
}

#[cfg(test)]
mod tests;
