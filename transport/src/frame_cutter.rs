//! Cuts received bytes into Packet frames, which it passes on whole and unchanged. Reads only their headers.

use quiver_protocol::{FrameError, FrameHeader, FrameKind, limits};

/// The beginning of a frame whose rest has not been received yet.
#[derive(Debug, Default)]
pub struct FrameCutter {
    partial: Vec<u8>,
}

impl FrameCutter {
    /// Calls `forward` with each frame that `bytes` complete.
    ///
    /// # Errors
    /// [`FrameError`] for a frame that is no Packet, is empty, or is longer than [`limits::PACKET`].
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        mut forward: impl FnMut(&[u8]),
    ) -> Result<(), FrameError> {
        if !self.partial.is_empty() {
            self.fill(FrameHeader::LENGTH, &mut bytes);
            let Some(length) = frame_length(&self.partial)? else { return Ok(()) };
            self.fill(length, &mut bytes);
            if self.partial.len() < length {
                return Ok(());
            }
            forward(&self.partial);
            self.partial.clear();
        }
        while let Some(length) = frame_length(bytes)?
            && let Some((frame, rest)) = bytes.split_at_checked(length)
        {
            forward(frame);
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
}

/// The length of the frame that starts here, with its header; `None` where the header is not complete.
fn frame_length(bytes: &[u8]) -> Result<Option<usize>, FrameError> {
    let Some(header) = bytes.first_chunk::<{ FrameHeader::LENGTH }>() else { return Ok(None) };
    let FrameHeader { kind, length } = FrameHeader::parse(*header)?;
    let length = usize::from(length);
    if kind != FrameKind::Packet {
        return Err(FrameError::Unexpected { found: kind, expected: "a Packet" });
    }
    if length > limits::PACKET {
        return Err(FrameError::TooLong { length, limit: limits::PACKET });
    }
    if length == 0 {
        return Err(FrameError::Chunk { length, why: "where a Packet was due" });
    }
    Ok(Some(FrameHeader::LENGTH + length))
}

#[cfg(test)]
mod tests {
    use quiver_protocol::frame;

    use super::*;

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

    #[test]
    fn frames_are_the_same_wherever_the_bytes_are_cut() {
        let (frames, stream) = packets(&[1, 1200, 2, limits::PACKET, 7, 300]);
        for size in [1, 2, 3, 4, 5, 299, 1203, 4096, stream.len()] {
            let (mut cutter, mut received) = (FrameCutter::default(), Vec::new());
            for piece in stream.chunks(size) {
                cutter.push(piece, |frame| received.push(frame.to_vec())).unwrap();
            }
            assert_eq!(received, frames, "in pieces of {size} bytes");
            assert!(cutter.is_complete());
        }
    }

    #[test]
    fn frames_before_an_invalid_one_are_forwarded() {
        let (frames, mut stream) = packets(&[5, 6]);
        stream.extend([FrameKind::Data as u8, 0, 1, 9]);
        let (mut cutter, mut received) = (FrameCutter::default(), Vec::new());
        let error = cutter.push(&stream, |frame| received.push(frame.to_vec())).unwrap_err();
        assert!(matches!(error, FrameError::Unexpected { found: FrameKind::Data, .. }), "{error}");
        assert_eq!(received, frames);
    }

    #[test]
    fn empty_packets_and_packets_over_the_limit_are_refused_by_their_header() {
        for length in [0, limits::PACKET as u16 + 1, u16::MAX] {
            let header = FrameHeader { kind: FrameKind::Packet, length }.encode();
            for size in [1, 3] {
                let mut cutter = FrameCutter::default();
                let mut pushed = header.chunks(size).map(|piece| cutter.push(piece, |_| ()));
                assert!(pushed.any(|pushed| pushed.is_err()), "{length} bytes");
            }
        }
    }

    #[test]
    fn a_frame_that_is_not_complete_is_not_forwarded() {
        let mut cutter = FrameCutter::default();
        let (_, stream) = packets(&[10]);
        cutter.push(&stream[..12], |_| panic!("not complete")).unwrap();
        assert!(!cutter.is_complete());
    }
}
