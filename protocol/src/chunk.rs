//! A file's content as Data frames: cutting blocks into chunks in place, and putting chunks together.
//!
//! The chunk is the wire's unit, never the unit of a system call or an allocation: a block of
//! [`BLOCK`] bytes becomes one contiguous run of header, payload, header, payload. Pure: no I/O.

use crate::frame::{FrameError, FrameHeader, FrameKind};
use crate::limits::CHUNK;

/// File bytes of a whole block: what is read, hashed and written at once. 256 KiB, where one
/// system call and one hash call cost little beside the bytes they move (docs/performance.md).
pub const BLOCK: usize = 256 * CHUNK;

/// Room a block's frame headers need.
pub const HEADROOM: usize = BLOCK / CHUNK * FrameHeader::LENGTH;

/// Bytes of a whole framed block.
pub const FRAMED_BLOCK: usize = HEADROOM + BLOCK;

/// The header of a Data frame with a whole chunk.
const WHOLE: [u8; FrameHeader::LENGTH] =
    [FrameKind::Data as u8, (CHUNK >> 8) as u8, (CHUNK & 0xff) as u8];

/// Turns a block into Data frames without a second buffer.
///
/// `buffer` holds the file's bytes at `HEADROOM..HEADROOM + length`; afterwards its beginning holds
/// the frames, and their total length is returned. Front to back this never overwrites a byte it
/// still needs, for a frame's end lies at or before the place its next chunk is read from.
///
/// # Panics
/// Where `length` is over [`BLOCK`] or `buffer` shorter than `HEADROOM + length`: a caller's mistake.
pub fn frame_in_place(buffer: &mut [u8], length: usize) -> usize {
    assert!(length <= BLOCK, "a block holds at most {BLOCK} bytes");
    let (mut from, mut to, mut left) = (HEADROOM, 0, length);
    while left > 0 {
        let size = left.min(CHUNK);
        let header = if size == CHUNK {
            WHOLE
        } else {
            FrameHeader { kind: FrameKind::Data, length: size as u16 }.encode()
        };
        buffer[to..to + FrameHeader::LENGTH].copy_from_slice(&header);
        buffer.copy_within(from..from + size, to + FrameHeader::LENGTH);
        from += size;
        to += FrameHeader::LENGTH + size;
        left -= size;
    }
    to
}

/// Puts the chunks of one content stream together again, whatever pieces the network delivers.
///
/// Enforces the wire's rules: every chunk but the last is whole, none is empty, and there are never
/// more bytes than were announced. The first frame that is not Data ends it.
#[derive(Debug)]
pub struct Unpacker {
    announced: u64,
    /// File bytes of all chunks whose header came.
    begun: u64,
    short: bool,
    state: UnpackState,
}

#[derive(Debug)]
enum UnpackState {
    Header { bytes: [u8; FrameHeader::LENGTH], have: usize },
    Chunk { left: usize },
    Tail { header: FrameHeader, payload: Vec<u8> },
}

/// Where an [`Unpacker`] stands after it was fed.
#[derive(Debug, PartialEq, Eq)]
pub enum UnpackStep {
    /// All input is used up: bring more.
    NeedInput,
    /// The output has no room for the next chunk: take the block away.
    BlockReady,
    /// A frame other than Data came, whole: the content is over.
    End(FrameKind, Vec<u8>),
}

impl Unpacker {
    /// For a stream that announced `announced` bytes of content.
    #[must_use]
    pub fn new(announced: u64) -> Self {
        Self { announced, begun: 0, short: false, state: UnpackState::empty_header() }
    }

    /// File bytes seen so far, those of an unfinished chunk too.
    #[must_use]
    pub fn seen(&self) -> u64 {
        match self.state {
            UnpackState::Chunk { left } => self.begun - left as u64,
            _ => self.begun,
        }
    }

    /// Takes frames from the front of `input` and appends file bytes to `block`, which never grows
    /// beyond [`BLOCK`]. The caller repeats with more input or an emptied block, as the step asks.
    ///
    /// # Errors
    /// A [`FrameError`] for anything the wire does not allow; the stream is then of no more use.
    pub fn feed(
        &mut self,
        input: &mut &[u8],
        block: &mut Vec<u8>,
    ) -> Result<UnpackStep, FrameError> {
        loop {
            match &mut self.state {
                UnpackState::Header { bytes, have } => {
                    let take = input.len().min(FrameHeader::LENGTH - *have);
                    bytes[*have..*have + take].copy_from_slice(&input[..take]);
                    *have += take;
                    *input = &input[take..];
                    if *have < FrameHeader::LENGTH {
                        return Ok(UnpackStep::NeedInput);
                    }
                    let header = FrameHeader::parse(*bytes)?;
                    self.state = self.begin(header)?;
                }
                UnpackState::Chunk { left } => {
                    if *left > BLOCK - block.len() {
                        return Ok(UnpackStep::BlockReady);
                    }
                    let take = input.len().min(*left);
                    block.extend_from_slice(&input[..take]);
                    *input = &input[take..];
                    *left -= take;
                    if *left > 0 {
                        return Ok(UnpackStep::NeedInput);
                    }
                    self.state = UnpackState::empty_header();
                }
                UnpackState::Tail { header, payload } => {
                    let wanted = usize::from(header.length) - payload.len();
                    let take = input.len().min(wanted);
                    payload.extend_from_slice(&input[..take]);
                    *input = &input[take..];
                    if take < wanted {
                        return Ok(UnpackStep::NeedInput);
                    }
                    return Ok(UnpackStep::End(header.kind, std::mem::take(payload)));
                }
            }
        }
    }

    fn begin(&mut self, header: FrameHeader) -> Result<UnpackState, FrameError> {
        if header.kind != FrameKind::Data {
            return Ok(UnpackState::Tail { header, payload: Vec::new() });
        }
        let length = usize::from(header.length);
        if length == 0 {
            return Err(FrameError::Chunk { length, why: "has no content" });
        }
        if length > CHUNK {
            return Err(FrameError::Chunk { length, why: "is longer than a chunk" });
        }
        if self.short {
            return Err(FrameError::Chunk { length, why: "follows a shorter one" });
        }
        self.short = length < CHUNK;
        self.begun += length as u64;
        if self.begun > self.announced {
            return Err(FrameError::TooMuchContent { announced: self.announced });
        }
        Ok(UnpackState::Chunk { left: length })
    }
}

impl UnpackState {
    const fn empty_header() -> Self {
        Self::Header { bytes: [0; FrameHeader::LENGTH], have: 0 }
    }
}

#[cfg(test)]
mod tests;
