//! Cuts received bytes into frames, and passes them on whole and unchanged. Reads only their headers. Only a frame that is
//! received in several pieces is copied.

use crate::frame::{FrameError, FrameHeader};

/// The beginning of a frame whose rest has not been received yet.
#[derive(Debug)]
pub struct FrameCutter {
    /// Checks a header before its payload is received.
    check: fn(FrameHeader) -> Result<(), FrameError>,
    partial: Vec<u8>,
}

impl FrameCutter {
    /// Creates a cutter that accepts the frames whose headers pass `check`, which also bounds their lengths.
    #[must_use]
    pub fn new(check: fn(FrameHeader) -> Result<(), FrameError>) -> Self {
        Self { check, partial: Vec::new() }
    }

    /// Calls `forward` with the header of each frame that `bytes` complete, and with the whole frame.
    ///
    /// # Errors
    /// [`FrameError`] of the check, or for an unknown kind.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        mut forward: impl FnMut(FrameHeader, &[u8]),
    ) -> Result<(), FrameError> {
        if !self.partial.is_empty() {
            self.fill(FrameHeader::LENGTH, &mut bytes);
            let Some(header) = self.header(&self.partial)? else { return Ok(()) };
            let length = frame_length(header);
            self.fill(length, &mut bytes);
            if self.partial.len() < length {
                return Ok(());
            }
            forward(header, &self.partial);
            self.partial.clear();
        }
        while let Some(header) = self.header(bytes)?
            && let Some((frame, rest)) = bytes.split_at_checked(frame_length(header))
        {
            forward(header, frame);
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether the bytes so far end with a whole frame.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.partial.is_empty()
    }

    /// Moves bytes to the partial frame, until it has this length.
    fn fill(&mut self, length: usize, bytes: &mut &[u8]) {
        let missing = length.saturating_sub(self.partial.len()).min(bytes.len());
        let (start, rest) = bytes.split_at(missing);
        self.partial.extend_from_slice(start);
        *bytes = rest;
    }

    /// The header of the frame that starts here; `None` where it is not complete.
    fn header(&self, bytes: &[u8]) -> Result<Option<FrameHeader>, FrameError> {
        let Some(header) = bytes.first_chunk::<{ FrameHeader::LENGTH }>() else { return Ok(None) };
        let header = FrameHeader::parse(*header)?;
        (self.check)(header)?;
        Ok(Some(header))
    }
}

/// The length of a frame with its header.
fn frame_length(header: FrameHeader) -> usize {
    FrameHeader::LENGTH + usize::from(header.length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{FrameKind, frame, limits};

    fn only_packets(header: FrameHeader) -> Result<(), FrameError> {
        match header {
            FrameHeader { kind: FrameKind::Packet, length: 1..=16_384 } => Ok(()),
            FrameHeader { kind, .. } => {
                Err(FrameError::Unexpected { found: kind, expected: "a packet" })
            }
        }
    }

    fn packets(lengths: &[usize]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let frames = lengths.iter().enumerate().map(|(number, length)| {
            let mut bytes = Vec::new();
            frame::append(&mut bytes, FrameKind::Packet, &vec![number as u8; *length]).unwrap();
            bytes
        });
        let frames: Vec<_> = frames.collect();
        let stream = frames.concat();
        (frames, stream)
    }

    /// The frames in these pieces of a stream, and whether the pieces end with a whole one.
    fn cut<'a>(
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<Vec<u8>>, Result<bool, FrameError>) {
        let (mut cutter, mut received) = (FrameCutter::new(only_packets), Vec::new());
        for piece in pieces {
            let pushed = cutter.push(piece, |header, frame| {
                assert_eq!(frame[..FrameHeader::LENGTH], header.encode());
                received.push(frame.to_vec());
            });
            if let Err(error) = pushed {
                return (received, Err(error));
            }
        }
        (received, Ok(cutter.is_complete()))
    }

    #[test]
    fn frames_are_the_same_wherever_the_bytes_are_cut() {
        let (frames, stream) = packets(&[1, 1200, 2, limits::PACKET, 7, 300]);
        for size in [1, 2, 3, 4, 5, 299, 1203, 4096, stream.len()] {
            let received = cut(stream.chunks(size));
            assert_eq!(received, (frames.clone(), Ok(true)), "in pieces of {size} bytes");
        }
    }

    #[test]
    fn frames_are_the_same_with_one_cut_or_two_at_any_place() {
        let (frames, stream) = packets(&[1, 2, 40, 3]);
        let whole = (frames, Ok(true));
        for first in 0..=stream.len() {
            let (start, rest) = stream.split_at(first);
            for second in 0..=rest.len() {
                let (middle, end) = rest.split_at(second);
                assert_eq!(cut([start, middle, end]), whole, "cut at {first}, and {second} later");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_into_the_same_frames_in_pieces_of_any_size(
            lengths in proptest::collection::vec(1..300_usize, 0..6),
            rest in proptest::collection::vec(any::<u8>(), 0..40),
            piece in 1..400_usize,
        ) {
            let (frames, mut stream) = packets(&lengths);
            stream.extend(rest);
            let (received, end) = cut([&stream[..]]);
            prop_assert_eq!(&received[..frames.len()], frames);
            prop_assert_eq!(cut(stream.chunks(piece)), (received, end));
        }
    }

    #[test]
    fn frames_before_an_invalid_one_are_forwarded() {
        let (frames, mut stream) = packets(&[5, 6]);
        stream.extend([FrameKind::Data as u8, 0, 1, 9]);
        let (mut cutter, mut received) = (FrameCutter::new(only_packets), Vec::new());
        let error = cutter.push(&stream, |_, frame| received.push(frame.to_vec())).unwrap_err();
        assert!(matches!(error, FrameError::Unexpected { found: FrameKind::Data, .. }), "{error}");
        assert_eq!(received, frames);
    }

    #[test]
    fn empty_packets_and_packets_over_the_limit_are_refused_by_their_header() {
        for length in [0, limits::PACKET as u16 + 1, u16::MAX] {
            let header = FrameHeader { kind: FrameKind::Packet, length }.encode();
            for size in [1, 3] {
                let mut cutter = FrameCutter::new(only_packets);
                let mut pushed = header.chunks(size).map(|piece| cutter.push(piece, |_, _| ()));
                assert!(pushed.any(|pushed| pushed.is_err()), "{length} bytes");
            }
        }
    }

    #[test]
    fn a_frame_that_is_not_complete_is_not_forwarded() {
        let mut cutter = FrameCutter::new(only_packets);
        let (_, stream) = packets(&[10]);
        cutter.push(&stream[..12], |_, _| panic!("not complete")).unwrap();
        assert!(!cutter.is_complete());
    }
}
