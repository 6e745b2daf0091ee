//! A file's content as Data frames: splits blocks into chunks, and joins chunks into blocks.
//!
//! The chunk is the wire's unit, never the unit of a system call or an allocation: a block of
//! [`BLOCK`] bytes becomes one contiguous run of header, payload, header, payload. No I/O in here.

use crate::frame::{FrameError, FrameHeader, FrameKind};
use crate::limits::CHUNK;

/// File bytes of a whole block, which is read, hashed and written at once. 256 KiB: one system call
/// and one hash call cost little compared with moving that many bytes (docs/performance.md).
pub const BLOCK: usize = 256 * CHUNK;

/// Bytes that the frame headers of a whole block need.
pub const HEADROOM: usize = BLOCK / CHUNK * FrameHeader::LENGTH;

/// Bytes of a whole block with its frame headers.
pub const FRAMED_BLOCK: usize = HEADROOM + BLOCK;

/// The header of a Data frame with a whole chunk.
const WHOLE_CHUNK_HEADER: [u8; FrameHeader::LENGTH] =
    [FrameKind::Data as u8, (CHUNK >> 8) as u8, (CHUNK & 0xff) as u8];

/// Turns a block into Data frames without a second buffer. Returns the length of all frames.
///
/// On entry, `buffer` holds the file's bytes at `HEADROOM..HEADROOM + length`; on return, it starts
/// with the frames. Working from front to back never overwrites a byte that is still needed,
/// because each frame ends at or before the position from which the next chunk is read.
///
/// # Panics
/// If `length` exceeds [`BLOCK`], or `buffer` is shorter than `HEADROOM + length`.
pub fn frame_in_place(buffer: &mut [u8], length: usize) -> usize {
    assert!(length <= BLOCK, "a block holds at most {BLOCK} bytes");
    let (mut from, mut to, mut remaining) = (HEADROOM, 0, length);
    while remaining > 0 {
        let size = remaining.min(CHUNK);
        let header = if size == CHUNK {
            WHOLE_CHUNK_HEADER
        } else {
            FrameHeader { kind: FrameKind::Data, length: size as u16 }.encode()
        };
        buffer[to..to + FrameHeader::LENGTH].copy_from_slice(&header);
        buffer.copy_within(from..from + size, to + FrameHeader::LENGTH);
        from += size;
        to += FrameHeader::LENGTH + size;
        remaining -= size;
    }
    to
}

/// Joins the chunks of one content stream, however the network splits them.
///
/// Enforces the rules of the wire: every chunk but the last is whole, no chunk is empty, and the
/// content never exceeds the announced bytes. The first frame other than Data ends the content.
#[derive(Debug)]
pub struct Unpacker {
    announced: u64,
    /// File bytes of all chunks whose header was received.
    started: u64,
    /// Whether a chunk was shorter than [`CHUNK`]: no other may follow it.
    had_short_chunk: bool,
    state: UnpackState,
}

#[derive(Debug)]
enum UnpackState {
    Header { bytes: [u8; FrameHeader::LENGTH], filled: usize },
    Chunk { remaining: usize },
    EndFrame { header: FrameHeader, payload: Vec<u8> },
}

/// What an [`Unpacker`] needs next, or the frame that ended the content.
#[derive(Debug, PartialEq, Eq)]
pub enum UnpackStep {
    /// All input is used up: feed more.
    NeedInput,
    /// The block has no space for the next chunk: pass an empty one.
    BlockReady,
    /// The content has ended: the kind and payload of the frame that followed it.
    End(FrameKind, Vec<u8>),
}

impl Unpacker {
    /// Creates an unpacker for a stream that announced `announced` bytes of content.
    #[must_use]
    pub fn new(announced: u64) -> Self {
        let state = UnpackState::empty_header();
        Self { announced, started: 0, had_short_chunk: false, state }
    }

    /// File bytes received so far, including those of an incomplete chunk.
    #[must_use]
    pub fn received(&self) -> u64 {
        match self.state {
            UnpackState::Chunk { remaining } => self.started - remaining as u64,
            _ => self.started,
        }
    }

    /// Takes frames from the front of `input` and appends their file bytes to `block`, which never
    /// grows beyond [`BLOCK`]. The step tells whether to call again with more input or an empty
    /// block.
    ///
    /// # Errors
    /// A [`FrameError`] for anything the wire does not allow. The unpacker cannot be used after
    /// that.
    pub fn feed(
        &mut self,
        input: &mut &[u8],
        block: &mut Vec<u8>,
    ) -> Result<UnpackStep, FrameError> {
        loop {
            match &mut self.state {
                UnpackState::Header { bytes, filled } => {
                    let take = input.len().min(FrameHeader::LENGTH - *filled);
                    bytes[*filled..*filled + take].copy_from_slice(&input[..take]);
                    *filled += take;
                    *input = &input[take..];
                    if *filled < FrameHeader::LENGTH {
                        return Ok(UnpackStep::NeedInput);
                    }
                    let header = FrameHeader::parse(*bytes)?;
                    self.state = self.start_frame(header)?;
                }
                UnpackState::Chunk { remaining } => {
                    if *remaining > BLOCK - block.len() {
                        return Ok(UnpackStep::BlockReady);
                    }
                    let take = input.len().min(*remaining);
                    block.extend_from_slice(&input[..take]);
                    *input = &input[take..];
                    *remaining -= take;
                    if *remaining > 0 {
                        return Ok(UnpackStep::NeedInput);
                    }
                    self.state = UnpackState::empty_header();
                }
                UnpackState::EndFrame { header, payload } => {
                    let missing = usize::from(header.length) - payload.len();
                    let take = input.len().min(missing);
                    payload.extend_from_slice(&input[..take]);
                    *input = &input[take..];
                    if take < missing {
                        return Ok(UnpackStep::NeedInput);
                    }
                    return Ok(UnpackStep::End(header.kind, std::mem::take(payload)));
                }
            }
        }
    }

    fn start_frame(&mut self, header: FrameHeader) -> Result<UnpackState, FrameError> {
        if header.kind != FrameKind::Data {
            return Ok(UnpackState::EndFrame { header, payload: Vec::new() });
        }
        let length = usize::from(header.length);
        if length == 0 {
            return Err(FrameError::Chunk { length, why: "has no content" });
        }
        if length > CHUNK {
            return Err(FrameError::Chunk { length, why: "is longer than a chunk" });
        }
        if self.had_short_chunk {
            return Err(FrameError::Chunk { length, why: "follows a shorter one" });
        }
        self.had_short_chunk = length < CHUNK;
        self.started += length as u64;
        if self.started > self.announced {
            return Err(FrameError::TooMuchContent { announced: self.announced });
        }
        Ok(UnpackState::Chunk { remaining: length })
    }
}

impl UnpackState {
    const fn empty_header() -> Self {
        Self::Header { bytes: [0; FrameHeader::LENGTH], filled: 0 }
    }
}

#[cfg(test)]
mod tests;
