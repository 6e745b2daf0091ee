//! The frame: `kind: u8`, `length: u16` big-endian, `payload`. Knows nothing of what payloads mean.

use thiserror::Error;

use crate::text::display_remark;

/// What a frame is. The numbers are the wire's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// A client asks for a command: one JSON object. The first frame of a stream.
    Request = 0,
    /// A server answers: one JSON object.
    Reply = 1,
    /// 1 to [`CHUNK`](crate::limits::CHUNK) bytes of a file.
    Data = 2,
    /// The answer is complete: one JSON object, `{}` where there is nothing to say.
    Eof = 3,
    /// The command was refused or failed: one JSON object, a [`Refusal`](crate::Refusal).
    Error = 4,
    /// The receiver has the content verified, flushed and under its final name: one JSON object.
    Received = 5,
}

impl TryFrom<u8> for FrameKind {
    type Error = FrameError;

    fn try_from(byte: u8) -> Result<Self, FrameError> {
        Ok(match byte {
            0 => Self::Request,
            1 => Self::Reply,
            2 => Self::Data,
            3 => Self::Eof,
            4 => Self::Error,
            5 => Self::Received,
            unknown => return Err(FrameError::UnknownKind(unknown)),
        })
    }
}

/// The three bytes before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the frame is.
    pub kind: FrameKind,
    /// Bytes of payload that follow.
    pub length: u16,
}

impl FrameHeader {
    /// Bytes of an encoded header.
    pub const LENGTH: usize = 3;

    /// Reads a header. The length is not judged here: the limit depends on who is asking.
    ///
    /// # Errors
    /// [`FrameError::UnknownKind`] where the first byte names no kind.
    pub fn parse(bytes: [u8; Self::LENGTH]) -> Result<Self, FrameError> {
        let [kind, high, low] = bytes;
        Ok(Self { kind: FrameKind::try_from(kind)?, length: u16::from_be_bytes([high, low]) })
    }

    /// Writes a header.
    #[must_use]
    pub fn encode(self) -> [u8; Self::LENGTH] {
        let [high, low] = self.length.to_be_bytes();
        [self.kind as u8, high, low]
    }
}

/// Appends one frame to `out`.
///
/// # Errors
/// [`FrameError::TooLong`] where the payload does not fit a 16-bit length; `out` is then unchanged.
pub fn append(out: &mut Vec<u8>, kind: FrameKind, payload: &[u8]) -> Result<(), FrameError> {
    let length = u16::try_from(payload.len())
        .map_err(|_| FrameError::TooLong { length: payload.len(), limit: crate::limits::FRAME })?;
    out.extend_from_slice(&FrameHeader { kind, length }.encode());
    out.extend_from_slice(payload);
    Ok(())
}

/// What can be wrong with a frame, before its payload is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The first byte names no kind.
    #[error("frame kind {0} is unknown")]
    UnknownKind(u8),
    /// A frame of another kind was due here.
    #[error("a {found:?} frame where {expected} was due")]
    Unexpected {
        /// What came.
        found: FrameKind,
        /// What the conversation allows here.
        expected: &'static str,
    },
    /// The payload is longer than this conversation allows.
    #[error("a payload of {length} bytes where at most {limit} are allowed")]
    TooLong {
        /// The announced bytes.
        length: usize,
        /// The allowed bytes.
        limit: usize,
    },
    /// The stream ended inside a frame or before one that was due.
    #[error("the stream ended in the middle of its frames")]
    Truncated,
    /// Bytes came after the frame that ends a conversation.
    #[error("bytes after the last frame")]
    Trailing,
    /// A Data frame had no bytes, more than a chunk, or followed a short one.
    #[error("a Data frame of {length} bytes {why}")]
    Chunk {
        /// Its bytes.
        length: usize,
        /// What is wrong with that.
        why: &'static str,
    },
    /// More file bytes came than were announced.
    #[error("more content than the announced {announced} bytes")]
    TooMuchContent {
        /// The announced bytes.
        announced: u64,
    },
    /// A payload is not the JSON object its kind calls for.
    #[error("malformed {what}: {}", display_remark(why))]
    Malformed {
        /// What it should have been.
        what: &'static str,
        /// What the parser said; it may repeat what came.
        why: String,
    },
}

/// Reads the JSON object of a payload. Fields nobody knows are ignored, leftover bytes are an error.
pub(crate) fn from_json<'a, T: serde::Deserialize<'a>>(
    what: &'static str,
    payload: &'a [u8],
) -> Result<T, FrameError> {
    let malformed = |why: String| FrameError::Malformed { what, why };
    // serde_json does not look at the bytes of strings that it skips.
    let text = std::str::from_utf8(payload).map_err(|error| malformed(error.to_string()))?;
    // It also reads a struct from an array of its fields; on the wire it is an object.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(malformed("not a JSON object".to_owned()));
    }
    serde_json::from_str(text).map_err(|error| malformed(error.to_string()))
}

/// Writes the JSON object of a payload.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "the wire's types have string keys and no failing impl")]
    serde_json::to_vec(value).expect("a wire type always has a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_the_wire() {
        for kind in 0..=5 {
            for length in [0, 1, 255, 256, 1024, u16::MAX] {
                let header = FrameHeader { kind: FrameKind::try_from(kind).unwrap(), length };
                assert_eq!(FrameHeader::parse(header.encode()), Ok(header));
            }
        }
    }

    #[test]
    fn kinds_nobody_knows_are_refused() {
        for kind in 6..=u8::MAX {
            assert_eq!(FrameHeader::parse([kind, 0, 0]), Err(FrameError::UnknownKind(kind)));
        }
    }

    #[test]
    fn a_payload_that_fits_no_length_leaves_the_buffer_alone() {
        let mut out = vec![7];
        let error = append(&mut out, FrameKind::Reply, &[0; 65_536]).unwrap_err();
        assert_eq!(error, FrameError::TooLong { length: 65_536, limit: 65_535 });
        assert_eq!(out, [7]);
    }
}
