//! The frame: `kind: u8`, `length: u16` big-endian, `payload`. Does not interpret payloads.

use thiserror::Error;

use crate::text::display_remark;

/// The kind of a frame. The discriminants are the numbers on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// A command of a client: one JSON object. The first frame of a stream.
    Request = 0,
    /// A part of the response: one JSON object.
    Reply = 1,
    /// 1 to [`CHUNK`](crate::limits::CHUNK) bytes of a file.
    Data = 2,
    /// The response is complete: one JSON object, often `{}`.
    Eof = 3,
    /// The command was refused or failed: one JSON object, a [`Refusal`](crate::Refusal).
    Error = 4,
    /// The receiver has verified, flushed and renamed the content: one JSON object.
    Received = 5,
    /// One datagram of a connection between two clients, as the server relays it.
    Packet = 6,
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
            6 => Self::Packet,
            unknown => return Err(FrameError::UnknownKind(unknown)),
        })
    }
}

/// The three bytes before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// The kind of the frame.
    pub kind: FrameKind,
    /// Bytes of payload that follow.
    pub length: u16,
}

impl FrameHeader {
    /// Bytes of an encoded header.
    pub const LENGTH: usize = 3;

    /// Reads a header. Does not check the length, whose limit depends on the command.
    ///
    /// # Errors
    /// [`FrameError::UnknownKind`] if no kind has the number in the first byte.
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
/// [`FrameError::TooLong`] if the payload's length does not fit 16 bits; `out` is then unchanged.
pub fn append(out: &mut Vec<u8>, kind: FrameKind, payload: &[u8]) -> Result<(), FrameError> {
    let length = u16::try_from(payload.len())
        .map_err(|_| FrameError::TooLong { length: payload.len(), limit: crate::limits::FRAME })?;
    out.extend_from_slice(&FrameHeader { kind, length }.encode());
    out.extend_from_slice(payload);
    Ok(())
}

/// What is wrong with a frame or its payload.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// No kind has the number in the first byte.
    #[error("frame kind {0} is unknown")]
    UnknownKind(u8),
    /// The conversation expects a frame of another kind.
    #[error("a {found:?} frame where {expected} was due")]
    Unexpected {
        /// The kind that was received.
        found: FrameKind,
        /// The kind or kinds that the conversation allows.
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
    /// The stream ended inside a frame, or before a frame that the conversation requires.
    #[error("the stream ended in the middle of its frames")]
    Truncated,
    /// The other side sent bytes after the frame that ends its part of the conversation.
    #[error("bytes after the last frame")]
    Trailing,
    /// A Data frame is empty, is longer than a chunk, or follows a short one.
    #[error("a Data frame of {length} bytes {why}")]
    Chunk {
        /// Bytes of its payload.
        length: usize,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// The sender sent more file bytes than it announced.
    #[error("more content than the announced {announced} bytes")]
    TooMuchContent {
        /// The announced bytes.
        announced: u64,
    },
    /// A payload is not the JSON object that its frame's kind requires.
    #[error("malformed {what}: {}", display_remark(why))]
    Malformed {
        /// What the payload should be.
        what: &'static str,
        /// The parser's error, which may quote the payload.
        why: String,
    },
}

/// Reads the JSON object of a payload. Ignores unknown fields, and rejects bytes after the object.
pub(crate) fn from_json<'a, T: serde::Deserialize<'a>>(
    what: &'static str,
    payload: &'a [u8],
) -> Result<T, FrameError> {
    let malformed = |why: String| FrameError::Malformed { what, why };
    // serde_json does not check that the strings it skips are UTF-8.
    let text = std::str::from_utf8(payload).map_err(|error| malformed(error.to_string()))?;
    // It also accepts an array of a struct's fields, which the wire does not allow.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(malformed("not a JSON object".to_owned()));
    }
    serde_json::from_str(text).map_err(|error| malformed(error.to_string()))
}

/// Writes the JSON object of a payload.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    #[expect(
        clippy::expect_used,
        reason = "wire types have string keys, and their Serialize never fails"
    )]
    serde_json::to_vec(value).expect("a wire type always has a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_unchanged() {
        for kind in 0..=6 {
            for length in [0, 1, 255, 256, 1024, u16::MAX] {
                let header = FrameHeader { kind: FrameKind::try_from(kind).unwrap(), length };
                assert_eq!(FrameHeader::parse(header.encode()), Ok(header));
            }
        }
    }

    #[test]
    fn unknown_frame_kinds_are_rejected() {
        for kind in 7..=u8::MAX {
            assert_eq!(FrameHeader::parse([kind, 0, 0]), Err(FrameError::UnknownKind(kind)));
        }
    }

    #[test]
    fn an_oversized_payload_leaves_the_buffer_unchanged() {
        let mut out = vec![7];
        let error = append(&mut out, FrameKind::Reply, &[0; 65_536]).unwrap_err();
        assert_eq!(error, FrameError::TooLong { length: 65_536, limit: 65_535 });
        assert_eq!(out, [7]);
    }
}
