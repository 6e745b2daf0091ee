//! Receiving: Data frames become a file again, verified before anyone is told.

use std::io::{self, Write};
use std::num::NonZero;
use std::sync::LazyLock;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use quiver_protocol::chunk::{BLOCK, Step, Unpacker};
use quiver_protocol::limits::CHUNK;
use quiver_protocol::{ContentEnd, ContentHash, End as _, FrameError, FrameKind, Refusal};
use thiserror::Error;
use tokio::task::{self, JoinHandle};

use super::hop::{self, Company};
use super::times::{Times, Visit};
use super::{Hashed, SMALL};
use crate::stream::{FrameReader, StreamError};

/// Pieces of the stream taken at once, at most; a packet is a piece.
const PIECES: usize = 64;

/// How large one may be, as far as is known before a whole one has come: as the largest packet.
const PIECE: usize = 64 * 1024;

/// Bytes that are hashed at once, as a block fills: few enough that they are still in the processor's
/// nearest caches, and enough for all lanes of its vectors.
const HASHED_AT_ONCE: usize = 64 * 1024;

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
pub enum Size {
    /// The sender has said so.
    Known(u64),
    /// The sender does not know; more than this is refused.
    AtMost(u64),
}

/// How much of a file is here, in its bytes; those count that were here before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
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
    size: Size,
    from: Hashed,
    sink: W,
    patience: Duration,
    mut progress: impl FnMut(Arrival),
) -> Result<(W, ContentEnd, Times), ReceiveError> {
    let offset = from.length;
    let (Size::Known(most) | Size::AtMost(most)) = size;
    let place = Place::of_this_machine();
    let mut writer = BlockWriter::new(sink, from.hasher, most.saturating_sub(offset), place);
    let mut unpacker = Unpacker::new(most.saturating_sub(offset));
    let mut block = writer.buffer();
    let progress_of = |unpacker: &Unpacker, written| Arrival {
        received: offset + unpacker.seen(),
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
    let came = offset + unpacker.seen();
    check_length(size, came, &end)?;
    reader.read_end(patience).await?;
    let (sink, hash, times) = writer.close(block).await?;
    if hash != end.blake3 {
        return Err(ReceiveError::Mismatch);
    }
    progress(Arrival { received: came, stored: came });
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
) -> Result<(Vec<u8>, ContentEnd, Times), ReceiveError> {
    if size > SMALL {
        return Err(FrameError::TooMuchContent { announced: SMALL }.into());
    }
    let mut times = Times::begin();
    let mut unpacker = Unpacker::new(size);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    let end = loop {
        let Some(piece) = reader.read_piece(patience).await? else {
            return Err(FrameError::Truncated.into());
        };
        let mut input = piece.as_ref();
        match unpacker.feed(&mut input, &mut bytes)? {
            Step::Hungry => {}
            // Never: what is announced fits into a block.
            Step::Full => return Err(FrameError::TooMuchContent { announced: size }.into()),
            Step::Tail(..) if !input.is_empty() => return Err(FrameError::Trailing.into()),
            Step::Tail(kind, payload) => break tail(kind, &payload)?,
        }
    };
    check_length(Size::Known(size), bytes.len() as u64, &end)?;
    reader.read_end(patience).await?;
    if ContentHash(*blake3::hash(&bytes).as_bytes()) != end.blake3 {
        return Err(ReceiveError::Mismatch);
    }
    times.moved();
    Ok((bytes, end, times))
}

/// Whether as much came as was announced, and as the end says.
fn check_length(size: Size, came: u64, end: &ContentEnd) -> Result<(), ReceiveError> {
    let due = if let Size::Known(size) = size { size } else { end.size };
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
                    Step::Hungry => {
                        writer.hash_ahead(block);
                        break;
                    }
                    Step::Full => *block = writer.write(std::mem::take(block)).await?,
                    Step::Tail(kind, payload) => {
                        // Nothing may follow the frame that ends the content.
                        if input.has_remaining() || index + 1 < count {
                            return Err(FrameError::Trailing.into());
                        }
                        return tail(kind, &payload);
                    }
                }
            }
        }
        progress(unpacker, writer.written);
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

/// Where blocks are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On the thread that takes them from the network, while they are in its processor's cache.
    Here,
    /// On the thread that writes them.
    AtTheDisk,
}

impl Place {
    /// Two processors have both ends' threads to share where client and server are one machine, and one of
    /// them is the network's in any case: a hash that moves to another thread then waits for its turn
    /// there. With more of them it is done beside the network.
    fn of_this_machine() -> Self {
        static PLACE: LazyLock<Place> = LazyLock::new(|| {
            let processors = available_parallelism().map_or(1, NonZero::get);
            if processors > 2 { Place::AtTheDisk } else { Place::Here }
        });
        *PLACE
    }
}

/// Writes blocks on a blocking thread, one hop behind the network, and hashes them.
struct BlockWriter<W> {
    state: Option<Work<W>>,
    running: Option<JoinHandle<Written<W>>>,
    /// Blocks of the hop that runs.
    on_the_way: usize,
    /// Where blocks are hashed before they are written.
    hasher: Option<Box<blake3::Hasher>>,
    /// What of the block that fills went into that.
    hashed: usize,
    company: Company,
    capacity: usize,
    /// Blocks that wait for the next hop.
    full: Vec<Vec<u8>>,
    /// Blocks that came back from one.
    empty: Vec<Vec<u8>>,
    /// Bytes that are in the sink.
    written: u64,
    times: Times,
}

/// What comes back from the blocking thread: the work, and the blocks' buffers.
type Written<W> = io::Result<(Work<W>, Vec<Vec<u8>>)>;

struct Work<W> {
    sink: W,
    /// Where blocks are hashed as they are written.
    hasher: Option<Box<blake3::Hasher>>,
    /// The last one.
    visit: Visit,
}

impl<W: Write> Work<W> {
    fn take(&mut self, blocks: &[Vec<u8>]) -> io::Result<()> {
        self.visit = Visit::begin();
        for block in blocks {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(block);
            }
            self.visit.on_disk(|| self.sink.write_all(block))?;
        }
        self.visit.end();
        Ok(())
    }
}

impl<W: Write + Send + 'static> BlockWriter<W> {
    fn new(sink: W, hasher: Box<blake3::Hasher>, announced: u64, place: Place) -> Self {
        let (here, there) = match place {
            Place::Here => (Some(hasher), None),
            Place::AtTheDisk => (None, Some(hasher)),
        };
        Self {
            state: Some(Work { sink, hasher: there, visit: Visit::begin() }),
            running: None,
            on_the_way: 0,
            hasher: here,
            hashed: 0,
            company: Company::join(),
            capacity: usize::try_from(announced).map_or(BLOCK, |size| size.min(BLOCK)),
            full: Vec::new(),
            empty: Vec::new(),
            written: 0,
            times: Times::begin(),
        }
    }

    /// An empty block, no larger than the content.
    fn buffer(&mut self) -> Vec<u8> {
        self.empty.pop().unwrap_or_else(|| Vec::with_capacity(self.capacity))
    }

    /// Takes a block and returns an empty one. It is written as soon as the hop before it has ended; what
    /// comes until then goes along, and is waited for once there is as much as may be lost.
    async fn write(&mut self, block: Vec<u8>) -> io::Result<Vec<u8>> {
        self.take(block);
        let idle = self.running.as_ref().is_none_or(JoinHandle::is_finished);
        let most = self.most();
        if idle || self.unwritten() >= most {
            self.wait().await?;
            self.empty.truncate(most);
            self.start()?;
        }
        Ok(self.buffer())
    }

    /// Blocks that may be unwritten.
    fn most(&self) -> usize {
        1 + self.company.blocks(hop::BEHIND)
    }

    /// Blocks that are.
    fn unwritten(&self) -> usize {
        self.on_the_way + self.full.len()
    }

    /// Bytes that may still be taken before something has to be written, beside those of a block that fills.
    fn room(&self, block: &[u8]) -> usize {
        (self.most().saturating_sub(self.unwritten()) * BLOCK).saturating_sub(block.len())
    }

    /// Hashes what a block that fills has so far, but for less than is worth a call.
    fn hash_ahead(&mut self, block: &[u8]) {
        let end = block.len() / HASHED_AT_ONCE * HASHED_AT_ONCE;
        if let Some(hasher) = &mut self.hasher
            && end > self.hashed
        {
            hasher.update(&block[self.hashed..end]);
            self.hashed = end;
        }
    }

    /// Puts a block where the next hop finds it.
    fn take(&mut self, block: Vec<u8>) {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&block[self.hashed..]);
            self.hashed = 0;
        }
        self.full.push(block);
    }

    fn start(&mut self) -> io::Result<()> {
        let Some(mut work) = self.state.take() else {
            return Err(io::Error::other("an earlier write failed"));
        };
        let blocks = std::mem::take(&mut self.full);
        self.on_the_way = blocks.len();
        self.running = Some(task::spawn_blocking(move || {
            work.take(&blocks)?;
            Ok((work, blocks))
        }));
        Ok(())
    }

    fn taken(&mut self, work: Work<W>, blocks: Vec<Vec<u8>>) {
        self.state = Some(work);
        for mut block in blocks {
            self.written += block.len() as u64;
            block.clear();
            self.empty.push(block);
        }
    }

    /// Waits for the hop that runs.
    async fn wait(&mut self) -> io::Result<()> {
        if let Some(running) = self.running.take() {
            let since = Instant::now();
            let (work, blocks) = finished(running).await?;
            self.on_the_way = 0;
            self.times.waited(since, &work.visit);
            self.taken(work, blocks);
        }
        Ok(())
    }

    /// Lets go of the sink, once the hop that runs has ended: until then a next attempt would find it in use.
    async fn abandon(mut self) {
        // Why it ends is known already.
        let _ = self.wait().await;
    }

    /// Writes what is left; the sink, the hash of all that went into it, and where the time went.
    async fn close(mut self, last: Vec<u8>) -> io::Result<(W, ContentHash, Times)> {
        self.take(last);
        self.wait().await?;
        if self.full.iter().any(|block| !block.is_empty()) {
            self.start()?;
            self.wait().await?;
        }
        let failed = || io::Error::other("an earlier write failed");
        let mut work = self.state.ok_or_else(failed)?;
        work.sink.flush()?;
        self.times.moved();
        // One of the two is there.
        let hasher = self.hasher.or(work.hasher).ok_or_else(failed)?;
        let hash = ContentHash(*hasher.finalize().as_bytes());
        Ok((work.sink, hash, self.times))
    }
}

async fn finished<T>(running: JoinHandle<io::Result<T>>) -> io::Result<T> {
    match running.await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is going down.
        Err(error) => Err(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests;
