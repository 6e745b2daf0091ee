//! Sending: turns a file into Data frames, and hashes it while it is read.

mod buffers;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use quiver_protocol::chunk::{BLOCK, HEADROOM, frame_in_place};
use quiver_protocol::limits::CHUNK;
use quiver_protocol::{Bottleneck, ContentEnd, ContentHash};
use tokio::task::{self, JoinHandle};

use self::buffers::BufferPool;
use crate::HashedPrefix;
use crate::batching::{self, ActiveTransfers};
use crate::prefix_cache::{CachedBlock, PrefixRecorder};
use crate::send_error::SendError;
use crate::source::{ContentSource, Source};
use crate::timings::{DiskAccess, TransferTimings};
use quiver_transport::stream::{FrameWriter, StreamError};

/// Sends a file's content from the end of `from` on as Data frames, and returns the content of its
/// Eof. `progress` gets the bytes of each block after QUIC has taken it. Content in memory that
/// fits into one block is only added to the writer's buffer, and is sent together with the caller's
/// next frame.
///
/// Holds two blocks and one spare buffer, besides QUIC's send window; twice as many while few
/// transfers run. `block_size` is the content bytes of a block: a multiple of the chunk size and at
/// most [`BLOCK`], which is the fastest. Smaller blocks are for callers that send many files at
/// once.
///
/// # Errors
/// [`SendError`]. The stream is then without an Eof: the caller sends an Error with the reason.
pub async fn send(
    writer: &mut FrameWriter,
    source: Source,
    from: HashedPrefix,
    block_size: usize,
    progress: impl FnMut(u64),
) -> Result<ContentEnd, SendError> {
    send_recorded(writer, source, from, block_size, None, progress).await
}

/// Like [`send()`]; `recorder` gets each whole block and the hash state at its end. A block that
/// another transfer of the same file has recorded is not read again.
///
/// # Errors
/// As [`send()`].
pub(crate) async fn send_recorded(
    writer: &mut FrameWriter,
    source: Source,
    from: HashedPrefix,
    block_size: usize,
    recorder: Option<Arc<PrefixRecorder>>,
    mut progress: impl FnMut(u64),
) -> Result<ContentEnd, SendError> {
    if let Some(bytes) = source.remaining_in_memory(&from, block_size) {
        // The next frame is sent in the same write.
        writer.start_content();
        writer.buffer_content(bytes).map_err(StreamError::from)?;
        let (mut hasher, length) = (from.hasher, bytes.len() as u64);
        hasher.update(bytes);
        progress(length);
        let blake3 = ContentHash(*hasher.finalize().as_bytes());
        return Ok(ContentEnd {
            size: from.length + length,
            blake3,
            slowed_by: None,
            network: None,
        });
    }
    writer.flush().await?;
    writer.start_content();
    let (meter, mut timings) = (writer.start_send_meter(), TransferTimings::start());
    if matches!(source.0, ContentSource::Pipe(_)) {
        timings = timings.for_pipe();
    }
    let reader = BlockReader { recorder, ..BlockReader::new(source, from, block_size) };
    let mut next = reader.start(1);
    let active = ActiveTransfers::register();
    loop {
        let wait_started = Instant::now();
        let ReadStep { reader, blocks, is_last, access } = next.result().await?;
        timings.record_wait(wait_started, &access);
        timings.sample_thread();
        if is_last {
            write_blocks(writer, blocks, &mut progress).await?;
            timings.end_content();
            let blake3 = ContentHash(*reader.hasher.finalize().as_bytes());
            let slowed_by = timings.bottleneck(timings.elapsed());
            let network = meter
                .filter(|_| slowed_by == Some(Bottleneck::Network))
                .and_then(|meter| meter.limit());
            return Ok(ContentEnd { size: reader.offset, blake3, slowed_by, network });
        }
        // The next blocks are read while these are sent.
        active.note_step();
        next = reader.start(active.batch_size(batching::READ_BLOCKS));
        write_blocks(writer, blocks, &mut progress).await?;
        // Let control traffic run even if the network takes everything at once.
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

/// Reads, hashes and frames blocks, on any free blocking thread.
struct BlockReader {
    source: Source,
    block_size: usize,
    offset: u64,
    hasher: Box<blake3::Hasher>,
    recorder: Option<Arc<PrefixRecorder>>,
    buffers: BufferPool,
}

/// A reading step that was started.
enum StartedStep {
    /// Finished at once: content in memory needs no other thread.
    Done(Box<Result<ReadStep, SendError>>),
    Running(JoinHandle<Result<ReadStep, SendError>>),
}

struct ReadStep {
    reader: BlockReader,
    blocks: Vec<ReadBlock>,
    /// Whether these are the last blocks.
    is_last: bool,
    access: DiskAccess,
}

struct ReadBlock {
    framed: Bytes,
    /// Content bytes of the block.
    length: usize,
}

impl BlockReader {
    fn new(source: Source, from: HashedPrefix, block_size: usize) -> Self {
        // Only a file's last chunk may be short.
        let block_size = (block_size / CHUNK * CHUNK).clamp(CHUNK, BLOCK);
        let HashedPrefix { hasher, length: offset } = from;
        let buffers = BufferPool::default();
        Self { source, block_size, offset, hasher, recorder: None, buffers }
    }

    /// Starts reading up to `max_blocks` blocks.
    fn start(self, max_blocks: usize) -> StartedStep {
        if matches!(self.source.0, ContentSource::Memory(_)) {
            return StartedStep::Done(Box::new(self.read_step(max_blocks)));
        }
        StartedStep::Running(task::spawn_blocking(move || self.read_step(max_blocks)))
    }

    fn read_step(mut self, max_blocks: usize) -> Result<ReadStep, SendError> {
        // A block of a pipe is sent without waiting for the next one.
        let max_blocks = if self.source.size().is_some() { max_blocks } else { 1 };
        self.buffers.set_capacity(max_blocks);
        let mut access = DiskAccess::start();
        let (mut blocks, mut is_last) = (Vec::with_capacity(max_blocks), false);
        while blocks.len() < max_blocks && !is_last {
            match self.read_block(&mut access)? {
                Some(block) => blocks.push(block),
                None => is_last = true,
            }
            // A small file is read in one step.
            is_last |= self.source.size().is_some_and(|size| size <= self.offset);
        }
        self.source.check_unchanged()?;
        access.finish();
        Ok(ReadStep { reader: self, blocks, is_last, access })
    }

    /// Reads the next block; `None` at the end.
    fn read_block(&mut self, access: &mut DiskAccess) -> Result<Option<ReadBlock>, SendError> {
        if let Some(block) = self.take_recorded() {
            return Ok(Some(block));
        }
        let mut buffer = self.buffers.take(self.next_length());
        let read = || self.source.read(&mut buffer[HEADROOM..], self.offset, self.block_size);
        let length = access.time_disk(read)?;
        if length == 0 {
            return Ok(None);
        }
        self.hasher.update(&buffer[HEADROOM..HEADROOM + length]);
        self.offset += length as u64;
        let framed = frame_in_place(&mut buffer, length);
        let framed = self.buffers.lend(buffer, framed);
        self.record((length == BLOCK).then_some(&framed));
        Ok(Some(ReadBlock { framed, length }))
    }

    /// The next block, if another transfer of the same file has read it.
    fn take_recorded(&mut self) -> Option<ReadBlock> {
        let recorder = self.recorder.as_ref().filter(|_| self.block_size == BLOCK)?;
        let CachedBlock { framed, end } = recorder.take_block(self.offset)?;
        (self.hasher, self.offset) = (end.hasher, end.length);
        self.record(Some(&framed));
        Some(ReadBlock { framed, length: BLOCK })
    }

    /// Records the hash state, and the whole block that was read last.
    fn record(&self, block: Option<&Bytes>) {
        if let Some(recorder) = &self.recorder {
            recorder.record(&self.hasher, self.offset, block);
        }
    }

    /// Content bytes of the next block: a small file does not need a buffer for a whole block.
    fn next_length(&self) -> usize {
        let left = self.source.size().map_or(u64::MAX, |size| size.saturating_sub(self.offset));
        usize::try_from(left).map_or(self.block_size, |left| left.min(self.block_size))
    }
}

impl StartedStep {
    async fn result(self) -> Result<ReadStep, SendError> {
        let step = match self {
            Self::Done(step) => return *step,
            Self::Running(step) => step,
        };
        crate::blocking::task_result(step.await)
            .unwrap_or_else(|error| Err(SendError::Disk(error.into())))
    }
}

#[cfg(test)]
mod tests;
