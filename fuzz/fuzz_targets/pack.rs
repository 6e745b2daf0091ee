//! Fuzzes content of any length: frames made in place equal frames built one by one, and the
//! unpacker joins them however the network splits them and however full the receiver's block is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quiver_protocol::chunk::{BLOCK, HEADROOM, UnpackStep, Unpacker, frame_in_place};
use quiver_protocol::{FrameKind, frame, limits::CHUNK};

fuzz_target!(|input: (u8, u32, u8, Vec<u16>, u16, Vec<u8>)| {
    let (length_class, length, factor, piece_lengths, free, start) = input;
    // The fuzzer's input is the start of the content; the rest, which is too long for it, is
    // computed.
    let length = length as usize % if length_class < 16 { 2 * BLOCK + 1 } else { 6 * CHUNK };
    let mut content: Vec<u8> = (0..length).map(|i| (i * usize::from(factor) % 251) as u8).collect();
    for (byte, generated) in content.iter_mut().zip(&start) {
        *byte = *generated;
    }

    let mut expected = Vec::new();
    for chunk in content.chunks(CHUNK) {
        frame::append(&mut expected, FrameKind::Data, chunk).expect("a chunk fits a frame");
    }
    let mut wire = Vec::new();
    for block in content.chunks(BLOCK) {
        let mut buffer = vec![0xaa; HEADROOM];
        buffer.extend_from_slice(block);
        let framed = frame_in_place(&mut buffer, block.len());
        wire.extend_from_slice(&buffer[..framed]);
    }
    assert!(wire == expected, "frames of {length} bytes made in place differ");
    frame::append(&mut wire, FrameKind::Eof, b"{}").expect("it fits");

    let mut unpacker = Unpacker::new(length as u64);
    let mut piece_lengths = piece_lengths.iter().cycle();
    let (mut remaining, mut received) = (&wire[..], Vec::new());
    // The first block holds bytes of an earlier file already.
    let mut earlier_bytes = BLOCK - usize::from(free).min(BLOCK);
    let mut block = vec![0; earlier_bytes];
    let end = 'stream: loop {
        assert!(!remaining.is_empty(), "the unpacker did not report the Eof");
        let length = piece_lengths.next().map_or(usize::MAX, |length| usize::from(*length).max(1));
        let (mut piece, rest) = remaining.split_at(length.min(remaining.len()));
        remaining = rest;
        loop {
            let step = unpacker.feed(&mut piece, &mut block).expect("the frames are valid");
            assert!(block.len() <= BLOCK, "a block is longer than BLOCK");
            match step {
                UnpackStep::NeedInput => break,
                UnpackStep::BlockReady => {
                    assert!(
                        block.len() > BLOCK - CHUNK,
                        "a block with space for a chunk was reported as ready"
                    );
                    received.extend_from_slice(&block[earlier_bytes..]);
                    earlier_bytes = 0;
                    block.clear();
                }
                UnpackStep::End(kind, payload) => break 'stream (kind, payload),
            }
        }
        assert!(piece.is_empty(), "the unpacker asked for input and left some unread");
        let content_length = received.len() + block.len() - earlier_bytes;
        assert_eq!(unpacker.received(), content_length as u64);
    };
    received.extend_from_slice(&block[earlier_bytes..]);
    assert!(received == content, "{length} bytes of content were received differently");
    assert_eq!(end, (FrameKind::Eof, b"{}".to_vec()));
});
