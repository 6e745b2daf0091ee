//! Receiving: turns Data frames back into a file and verifies it.

mod writer;

use std::convert::Infallible;
use std::future::pending;
use std::io::{self, Write};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use quiver_protocol::chunk::{UnpackStep, Unpacker};
use quiver_protocol::limits::CHUNK;
use quiver_protocol::{ContentEnd, ContentHash, EofPayload as _, FrameError, FrameKind, Refusal};
use thiserror::Error;
use tokio::task;

use self::writer::{BlockWriter, HashingThread};
use crate::timings::TransferTimings;
use crate::{HashedPrefix, SMALL};
use quiver_transport::stream::{FrameReader, StreamError};

/// Maximum number of pieces read from the stream at once; a packet is a piece.
const MAX_PIECES: usize = 64;

/// Assumed size of a piece until a whole one was received: the largest packet.
const INITIAL_PIECE_SIZE: usize = 64 * 1024;

/// Why content was not received.
#[derive(Debug, Error)]
pub enum ReceiveError {
    /// All content was received, but its hash does not match.
    #[error("the content does not match its hash")]
    Mismatch,
    /// The Eof's size is not the announced one, or the content ended early.
    #[error("the content has {found} bytes where {announced} were announced")]
    Length {
        /// The announced bytes.
        announced: u64,
        /// The received bytes, or the size in the Eof.
        found: u64,
    },
    /// The content could not be written.
    #[error("{0}")]
    Disk(#[from] io::Error),
    /// The stream failed.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl From<FrameError> for ReceiveError {
    fn from(error: FrameError) -> Self {
        Self::Stream(error.into())
    }
}

/// The announced size of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentSize {
    /// The exact size in bytes.
    Known(u64),
    /// The sender does not know the size; more than this many bytes are refused.
    AtMost(u64),
}

/// Progress of a file in bytes, including those from earlier attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveProgress {
    /// Received bytes.
    pub received: u64,
    /// Bytes written to the sink.
    pub stored: u64,
}

/// Content that was not received to its end.
#[derive(Debug)]
pub(crate) struct UnfinishedContent<S> {
    /// Why receiving ended.
    pub(crate) reason: EarlyEnd<S>,
    /// What was written to the sink, with the prefix before it: `from` and whole blocks. `None` if
    /// writing failed, or all content was written.
    pub(crate) written: Option<HashedPrefix>,
}

/// Why receiving ended before the end of the content.
#[derive(Debug)]
pub(crate) enum EarlyEnd<S> {
    /// The caller stopped it.
    Stopped(S),
    /// It failed.
    Failed(ReceiveError),
}

/// Receives a file's content from the end of `from` on into `sink`, up to the Eof and the end of
/// the stream. If size and hash are what the sender says, returns the sink, the content's end, and
/// the timings. `progress` gets the received bytes. The sender must not be silent for longer than
/// `idle_timeout`.
///
/// Verified content is not yet durable: the caller commits the sink, then sends Received.
///
/// # Errors
/// [`ReceiveError`]. The sink is dropped before this returns: nothing writes to it any more.
pub async fn receive<W: Write + Send + 'static>(
    reader: &mut FrameReader,
    size: ContentSize,
    from: HashedPrefix,
    sink: W,
    idle_timeout: Duration,
    progress: impl FnMut(ReceiveProgress),
) -> Result<(W, ContentEnd, TransferTimings), ReceiveError> {
    let stop = pending::<Infallible>();
    let received = receive_until(reader, size, from, sink, idle_timeout, stop, progress).await;
    received.map_err(|unfinished| match unfinished.reason {
        EarlyEnd::Stopped(never) => match never {},
        EarlyEnd::Failed(error) => error,
    })
}

/// Like [`receive`], until `stop` resolves: then whole blocks that were received are written, and
/// the rest is dropped.
///
/// # Errors
/// [`UnfinishedContent`]. The sink is dropped before this returns: nothing writes to it any more.
pub(crate) async fn receive_until<W: Write + Send + 'static, S>(
    reader: &mut FrameReader,
    size: ContentSize,
    from: HashedPrefix,
    sink: W,
    idle_timeout: Duration,
    stop: impl Future<Output = S>,
    mut progress: impl FnMut(ReceiveProgress),
) -> Result<(W, ContentEnd, TransferTimings), UnfinishedContent<S>> {
    let offset = from.length;
    let (ContentSize::Known(max_size) | ContentSize::AtMost(max_size)) = size;
    let announced = max_size.saturating_sub(offset);
    let mut writer = BlockWriter::new(sink, from, announced, HashingThread::for_this_machine());
    let mut unpacker = Unpacker::new(announced);
    let mut block = writer.buffer();
    if matches!(size, ContentSize::Known(_)) {
        reader.expect_content(announced);
    }
    let progress_at = |unpacker: &Unpacker, written| ReceiveProgress {
        received: offset + unpacker.received(),
        stored: offset + written,
    };
    let content = async {
        let report = |unpacker: &Unpacker, written| progress(progress_at(unpacker, written));
        let blocks =
            receive_blocks(reader, &mut unpacker, &mut writer, &mut block, idle_timeout, report);
        let end = blocks.await?;
        check_length(size, offset + unpacker.received(), &end)?;
        reader.read_end(idle_timeout).await?;
        Ok(end)
    };
    let content = tokio::select! {
        biased;
        content = content => content.map_err(EarlyEnd::Failed),
        stopped = stop => Err(EarlyEnd::Stopped(stopped)),
    };
    let end = match content {
        Ok(end) => end,
        Err(reason) => return Err(UnfinishedContent { reason, written: writer.abandon().await }),
    };
    let (sink, hash, timings) = writer.close(block).await.map_err(UnfinishedContent::failed)?;
    if hash != end.blake3 {
        return Err(UnfinishedContent::failed(ReceiveError::Mismatch));
    }
    progress(ReceiveProgress { received: end.size, stored: end.size });
    Ok((sink, end, timings))
}

/// Like [`receive`], for a small file, into memory and without another thread. Refuses more than
/// `size` bytes.
///
/// # Errors
/// [`ReceiveError`].
pub async fn receive_small(
    reader: &mut FrameReader,
    size: u64,
    idle_timeout: Duration,
) -> Result<(Vec<u8>, ContentEnd, TransferTimings), ReceiveError> {
    if size > SMALL {
        return Err(FrameError::TooMuchContent { announced: SMALL }.into());
    }
    let mut timings = TransferTimings::start();
    let mut unpacker = Unpacker::new(size);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    let end = loop {
        let Some(piece) = reader.read_piece(idle_timeout).await? else {
            return Err(FrameError::Truncated.into());
        };
        let mut input = piece.as_ref();
        match unpacker.feed(&mut input, &mut bytes)? {
            UnpackStep::NeedInput => {}
            // Unreachable: the announced content fits into a block.
            UnpackStep::BlockReady => {
                return Err(FrameError::TooMuchContent { announced: size }.into());
            }
            UnpackStep::End(..) if !input.is_empty() => return Err(FrameError::Trailing.into()),
            UnpackStep::End(kind, payload) => break decode_end(kind, &payload)?,
        }
    };
    check_length(ContentSize::Known(size), bytes.len() as u64, &end)?;
    reader.read_end(idle_timeout).await?;
    if ContentHash(*blake3::hash(&bytes).as_bytes()) != end.blake3 {
        return Err(ReceiveError::Mismatch);
    }
    timings.end_content();
    Ok((bytes, end, timings))
}

impl<S> UnfinishedContent<S> {
    /// The content was received, but could not be written or verified.
    fn failed(error: impl Into<ReceiveError>) -> Self {
        Self { reason: EarlyEnd::Failed(error.into()), written: None }
    }
}

/// Checks the received size against the announced one and against the Eof.
fn check_length(size: ContentSize, received: u64, end: &ContentEnd) -> Result<(), ReceiveError> {
    let expected = if let ContentSize::Known(size) = size { size } else { end.size };
    if received != expected || end.size != expected {
        let found = if end.size == expected { received } else { end.size };
        return Err(ReceiveError::Length { announced: expected, found });
    }
    Ok(())
}

/// Receives content up to the frame that ends it. The last, incomplete block stays in `block`.
async fn receive_blocks<W: Write + Send + 'static>(
    reader: &mut FrameReader,
    unpacker: &mut Unpacker,
    writer: &mut BlockWriter<W>,
    block: &mut Vec<u8>,
    idle_timeout: Duration,
    mut progress: impl FnMut(&Unpacker, u64),
) -> Result<ContentEnd, ReceiveError> {
    let mut pieces = [const { Bytes::new() }; MAX_PIECES];
    let mut largest = 0;
    loop {
        let piece_size = if largest < CHUNK { INITIAL_PIECE_SIZE } else { largest };
        let max_pieces = (writer.free_space(block) / piece_size).clamp(1, MAX_PIECES);
        let Some(count) = reader.read_pieces(&mut pieces[..max_pieces], idle_timeout).await? else {
            return Err(FrameError::Truncated.into());
        };
        largest = pieces[..count].iter().map(Bytes::len).fold(largest, usize::max);
        for (index, piece) in pieces[..count].iter_mut().map(std::mem::take).enumerate() {
            let mut input = piece.as_ref();
            loop {
                match unpacker.feed(&mut input, block)? {
                    UnpackStep::NeedInput => {
                        writer.hash_ahead(block);
                        break;
                    }
                    UnpackStep::BlockReady => *block = writer.write(std::mem::take(block)).await?,
                    UnpackStep::End(kind, payload) => {
                        // Nothing may follow the frame that ends the content.
                        if input.has_remaining() || index + 1 < count {
                            return Err(FrameError::Trailing.into());
                        }
                        return decode_end(kind, &payload);
                    }
                }
            }
        }
        progress(unpacker, writer.written());
        writer.timings.sample_thread();
        // Let control traffic run even if content is always available.
        task::yield_now().await;
    }
}

fn decode_end(kind: FrameKind, payload: &[u8]) -> Result<ContentEnd, ReceiveError> {
    match kind {
        FrameKind::Eof => Ok(ContentEnd::decode(payload)?),
        FrameKind::Error => Err(ReceiveError::Stream(Refusal::decode(payload)?.into())),
        found => Err(FrameError::Unexpected { found, expected: "Data, Eof or Error" }.into()),
    }
}
