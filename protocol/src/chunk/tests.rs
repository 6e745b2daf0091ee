//! Splits content into chunks, joins them again, and rejects invalid ones.

use proptest::prelude::*;

use super::*;
use crate::frame;

/// The Data frames of `content`, each built on its own.
fn frames(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in content.chunks(CHUNK) {
        frame::append(&mut out, FrameKind::Data, chunk).unwrap();
    }
    out
}

/// The Data frames of `content`, built in place block by block.
fn frames_made_in_place(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for block in content.chunks(BLOCK) {
        let mut buffer = vec![0xaa; HEADROOM];
        buffer.extend_from_slice(block);
        let length = frame_in_place(&mut buffer, block.len());
        out.extend_from_slice(&buffer[..length]);
    }
    out
}

/// The kind and payload of the frame that ended the content, if there was one.
type EndFrame = Option<(FrameKind, Vec<u8>)>;

/// Feeds `wire` to an unpacker in pieces of `piece` bytes; returns the content and its end.
fn unpack(wire: &[u8], piece: usize, announced: u64) -> Result<(Vec<u8>, EndFrame), FrameError> {
    let mut unpacker = Unpacker::new(announced);
    let (mut content, mut block) = (Vec::new(), Vec::with_capacity(BLOCK));
    for mut input in wire.chunks(piece) {
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
fn frames_made_in_place_equal_frames_built_one_by_one() {
    for length in [0, 1, 1023, 1024, 1025, 2048, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 77] {
        let content = sample(length);
        assert_eq!(frames_made_in_place(&content), frames(&content), "{length} bytes");
    }
}

#[test]
fn the_unpacker_joins_chunks_however_the_network_splits_them() {
    let content = sample(BLOCK + 5000);
    let mut wire = frames_made_in_place(&content);
    frame::append(&mut wire, FrameKind::Eof, b"{}").unwrap();
    for piece in [1, 2, 3, 1024, 1027, 1200, 65_536, wire.len()] {
        let (received, end) = unpack(&wire, piece, content.len() as u64).unwrap();
        assert!(received == content, "pieces of {piece} bytes");
        assert_eq!(end, Some((FrameKind::Eof, b"{}".to_vec())));
    }
}

#[test]
fn the_unpacker_rejects_invalid_chunks() {
    let rejected = |wire: &[u8], announced| unpack(wire, wire.len(), announced).unwrap_err();
    assert!(matches!(rejected(&[2, 0, 0], 9), FrameError::Chunk { length: 0, .. }));
    assert!(matches!(rejected(&[2, 4, 1], 9999), FrameError::Chunk { length: 1025, .. }));
    assert!(matches!(rejected(&[2, 0, 1, b'a', 2, 0, 1], 9), FrameError::Chunk { .. }));
    assert_eq!(rejected(&[2, 0, 3], 2), FrameError::TooMuchContent { announced: 2 });
    assert_eq!(rejected(&[9, 0, 0], 2), FrameError::UnknownKind(9));
}

#[test]
fn a_truncated_stream_yields_only_the_received_content() {
    let content = sample(3000);
    let wire = frames_made_in_place(&content);
    let (received, end) = unpack(&wire[..1500], 100, 3000).unwrap();
    assert_eq!((&received[..], end), (&content[..1500 - 6], None));
}

#[test]
fn received_counts_content_bytes_and_not_those_that_a_header_announces() {
    let mut unpacker = Unpacker::new(9);
    let mut block = Vec::new();
    for (mut piece, received) in [(&[2, 0][..], 0), (&[9, b'a', b'b'], 2), (b"cdefghi", 9)] {
        assert_eq!(unpacker.feed(&mut piece, &mut block), Ok(UnpackStep::NeedInput));
        assert_eq!(unpacker.received(), received);
    }
    assert_eq!(block, b"abcdefghi");
}

proptest! {
    #[test]
    fn any_content_is_received_unchanged_in_pieces_of_any_size(content in proptest::collection::vec(any::<u8>(), 0..9000), piece in 1usize..3000) {
        let wire = frames_made_in_place(&content);
        let (received, end) = unpack(&wire, piece, content.len() as u64).unwrap();
        prop_assert_eq!(received, content);
        prop_assert!(end.is_none());
    }

    #[test]
    fn the_unpacker_accepts_or_rejects_any_bytes_without_panicking(wire in proptest::collection::vec(any::<u8>(), 0..5000), piece in 1usize..500, announced: u64) {
        if let Ok((received, _)) = unpack(&wire, piece, announced) {
            prop_assert!(received.len() as u64 <= announced);
        }
    }
}
