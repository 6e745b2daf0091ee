//! Chunks of content, cut and joined, and hostile ones.

use proptest::prelude::*;

use super::*;
use crate::frame;

/// The frames of `content`, written the plain way.
fn frames(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in content.chunks(CHUNK) {
        frame::append(&mut out, FrameKind::Data, chunk).unwrap();
    }
    out
}

fn packed(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for block in content.chunks(BLOCK) {
        let mut buffer = vec![0xaa; HEADROOM];
        buffer.extend_from_slice(block);
        let length = frame_in_place(&mut buffer, block.len());
        out.extend_from_slice(&buffer[..length]);
    }
    out
}

type Tail = Option<(FrameKind, Vec<u8>)>;

/// Feeds `wire` in pieces of `piece` bytes; the content, and the frame that ended it.
fn unpacked(wire: &[u8], piece: usize, announced: u64) -> Result<(Vec<u8>, Tail), FrameError> {
    let mut unpacker = Unpacker::new(announced);
    let (mut content, mut block) = (Vec::new(), Vec::with_capacity(BLOCK));
    for part in wire.chunks(piece) {
        let mut input = part;
        loop {
            match unpacker.feed(&mut input, &mut block)? {
                UnpackStep::NeedInput => break,
                UnpackStep::BlockReady => content.append(&mut block),
                UnpackStep::End(kind, payload) => {
                    content.append(&mut block);
                    return Ok((content, Some((kind, payload))));
                }
            }
        }
    }
    content.append(&mut block);
    Ok((content, None))
}

fn sample(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 % 251) as u8).collect()
}

#[test]
fn a_block_is_cut_where_the_wire_cuts_it() {
    for length in [0, 1, 1023, 1024, 1025, 2048, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 77] {
        let content = sample(length);
        assert_eq!(packed(&content), frames(&content), "{length} bytes");
    }
}

#[test]
fn chunks_come_together_whatever_the_pieces() {
    let content = sample(BLOCK + 5000);
    let mut wire = packed(&content);
    frame::append(&mut wire, FrameKind::Eof, b"{}").unwrap();
    for piece in [1, 2, 3, 1024, 1027, 1200, 65_536, wire.len()] {
        let (got, tail) = unpacked(&wire, piece, content.len() as u64).unwrap();
        assert!(got == content, "pieces of {piece} bytes");
        assert_eq!(tail, Some((FrameKind::Eof, b"{}".to_vec())));
    }
}

#[test]
fn hostile_chunks_are_refused() {
    let refused = |wire: &[u8], announced| unpacked(wire, wire.len(), announced).unwrap_err();
    assert!(matches!(refused(&[2, 0, 0], 9), FrameError::Chunk { length: 0, .. }));
    assert!(matches!(refused(&[2, 4, 1], 9999), FrameError::Chunk { length: 1025, .. }));
    assert!(matches!(refused(&[2, 0, 1, b'a', 2, 0, 1], 9), FrameError::Chunk { .. }));
    assert_eq!(refused(&[2, 0, 3], 2), FrameError::TooMuchContent { announced: 2 });
    assert_eq!(refused(&[9, 0, 0], 2), FrameError::UnknownKind(9));
}

#[test]
fn a_stream_that_stops_early_yields_only_what_came() {
    let content = sample(3000);
    let wire = packed(&content);
    let (got, tail) = unpacked(&wire[..1500], 100, 3000).unwrap();
    assert_eq!((&got[..], tail), (&content[..1500 - 6], None));
}

#[test]
fn seen_counts_the_bytes_that_came_not_those_a_header_promised() {
    let mut unpacker = Unpacker::new(9);
    let mut block = Vec::new();
    for (mut piece, seen) in [(&[2, 0][..], 0), (&[9, b'a', b'b'], 2), (b"cdefghi", 9)] {
        assert_eq!(unpacker.feed(&mut piece, &mut block), Ok(UnpackStep::NeedInput));
        assert_eq!(unpacker.seen(), seen);
    }
    assert_eq!(block, b"abcdefghi");
}

proptest! {
    #[test]
    fn any_content_survives_any_cut(content in proptest::collection::vec(any::<u8>(), 0..9000), piece in 1usize..3000) {
        let wire = packed(&content);
        let (got, tail) = unpacked(&wire, piece, content.len() as u64).unwrap();
        prop_assert_eq!(got, content);
        prop_assert!(tail.is_none());
    }

    #[test]
    fn any_bytes_end_in_a_step_or_an_error(wire in proptest::collection::vec(any::<u8>(), 0..5000), piece in 1usize..500, announced: u64) {
        if let Ok((got, _)) = unpacked(&wire, piece, announced) {
            prop_assert!(got.len() as u64 <= announced);
        }
    }
}
