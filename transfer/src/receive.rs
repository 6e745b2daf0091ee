//! Receiving: Data frames become a file again, verified before anyone is told.

mod writer;

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

/// Pieces of the stream taken at once, at most; a packet is a piece.
const PIECES: usize = 64;

/// How large one may be, as far as is known before a whole one has come: as the largest packet.
const PIECE: usize = 64 * 1024;

/// Why content did not arrive whole.
#[derive(Debug, Error)]
pub enum ReceiveError {
    /// It came whole and is not what was sent.
    #[error("the content does not match its hash")]
    Mismatch,
    /// The Eof's size is not the announced one, or the content ended early.
    #[error("the content has {found} bytes where {announced} were announced")]
    Length {
        /// The announced bytes.
        announced: u64,
        /// What came, or what the Eof says.
        found: u64,
    },
    /// It could not be written.
    #[error("{0}")]
    Disk(#[from] io::Error),
    /// The stream broke off.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl From<FrameError> for ReceiveError {
    fn from(error: FrameError) -> Self {
        Self::Stream(error.into())
    }
}

/// How many bytes a file that comes has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentSize {
    /// The sender has said so.
    Known(u64),
    /// The sender does not know; more than this is refused.
    AtMost(u64),
}

/// How much of a file is here, in its bytes; those count that were here before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveProgress {
    /// What has come.
    pub received: u64,
    /// What was written to the sink.
    pub stored: u64,
}

/// Receives a file's content from the end of `from` on into `sink`, up to the Eof and the end of the
/// stream, and gives the sink back, with the file's size and hash, when they are what the sender
/// says, and where the time went. `progress` hears of what has arrived so far. No silence may be longer than `patience`.
///
/// Verified is not yet durable: the caller commits the sink, then says Received.
///
/// # Errors
/// [`ReceiveError`]. The sink is dropped before this returns: nothing writes to it any more.
pub async fn receive<W: Write + Send + 'static>(
    reader: &mut FrameReader,
    size: ContentSize,
    from: HashedPrefix,
    sink: W,
    patience: Duration,
    mut progress: impl FnMut(ReceiveProgress),
) -> Result<(W, ContentEnd, TransferTimings), ReceiveError> {
    let offset = from.length;
    let (ContentSize::Known(most) | ContentSize::AtMost(most)) = size;
    let hashing_thread = HashingThread::of_this_machine();
    let mut writer =
        BlockWriter::new(sink, from.hasher, most.saturating_sub(offset), hashing_thread);
    let mut unpacker = Unpacker::new(most.saturating_sub(offset));
    let mut block = writer.buffer();
    let progress_of = |unpacker: &Unpacker, written| ReceiveProgress {
        received: offset + unpacker.received(),
        stored: offset + written,
    };
    let taken =
        take(reader, &mut unpacker, &mut writer, &mut block, patience, |unpacker, written| {
            progress(progress_of(unpacker, written));
        });
    let end = match taken.await {
        Ok(end) => end,
        Err(error) => {
            writer.abandon().await;
            return Err(error);
        }
    };
    let came = offset + unpacker.received();
    check_length(size, came, &end)?;
    reader.read_end(patience).await?;
    let (sink, hash, times) = writer.close(block).await?;
    if hash != end.blake3 {
        return Err(ReceiveError::Mismatch);
    }
    progress(ReceiveProgress { received: came, stored: came });
    Ok((sink, end, times))
}

/// The same for a small file, into memory: nothing waits for another thread. What has more than `most` bytes
/// is refused.
///
/// # Errors
/// [`ReceiveError`].
pub async fn receive_small(
    reader: &mut FrameReader,
    size: u64,
    patience: Duration,
) -> Result<(Vec<u8>, ContentEnd, TransferTimings), ReceiveError> {
    if size > SMALL {
        return Err(FrameError::TooMuchContent { announced: SMALL }.into());
    }
    let mut times = TransferTimings::begin();
    let mut unpacker = Unpacker::new(size);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    let end = loop {
        let Some(piece) = reader.read_piece(patience).await? else {
            return Err(FrameError::Truncated.into());
        };
        let mut input = piece.as_ref();
        match unpacker.feed(&mut input, &mut bytes)? {
            UnpackStep::NeedInput => {}
            // Never: what is announced fits into a block.
            UnpackStep::BlockReady => {
                return Err(FrameError::TooMuchContent { announced: size }.into());
            }
            UnpackStep::End(..) if !input.is_empty() => return Err(FrameError::Trailing.into()),
            UnpackStep::End(kind, payload) => break tail(kind, &payload)?,
        }
    };
    check_length(ContentSize::Known(size), bytes.len() as u64, &end)?;
    reader.read_end(patience).await?;
    if ContentHash(*blake3::hash(&bytes).as_bytes()) != end.blake3 {
        return Err(ReceiveError::Mismatch);
    }
    times.moved();
    Ok((bytes, end, times))
}

/// Whether as much came as was announced, and as the end says.
fn check_length(size: ContentSize, came: u64, end: &ContentEnd) -> Result<(), ReceiveError> {
    let due = if let ContentSize::Known(size) = size { size } else { end.size };
    if came != due || end.size != due {
        let found = if end.size == due { came } else { end.size };
        return Err(ReceiveError::Length { announced: due, found });
    }
    Ok(())
}

/// Takes content up to the frame that ends it. What of the last block is not handed to the writer stays in
/// `block`.
async fn take<W: Write + Send + 'static>(
    reader: &mut FrameReader,
    unpacker: &mut Unpacker,
    writer: &mut BlockWriter<W>,
    block: &mut Vec<u8>,
    patience: Duration,
    mut progress: impl FnMut(&Unpacker, u64),
) -> Result<ContentEnd, ReceiveError> {
    let mut pieces = [const { Bytes::new() }; PIECES];
    let mut largest = 0;
    loop {
        let piece = if largest < CHUNK { PIECE } else { largest };
        let most = (writer.room(block) / piece).clamp(1, PIECES);
        let Some(count) = reader.read_pieces(&mut pieces[..most], patience).await? else {
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
                        return tail(kind, &payload);
                    }
                }
            }
        }
        progress(unpacker, writer.written());
        writer.times.look();
        // Messages get their turn even where content never runs dry.
        task::yield_now().await;
    }
}

fn tail(kind: FrameKind, payload: &[u8]) -> Result<ContentEnd, ReceiveError> {
    match kind {
        FrameKind::Eof => Ok(ContentEnd::decode(payload)?),
        FrameKind::Error => Err(ReceiveError::Stream(Refusal::decode(payload)?.into())),
        found => Err(FrameError::Unexpected { found, expected: "Data, Eof or Error" }.into()),
    }
}
