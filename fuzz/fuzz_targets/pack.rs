//! Content of any length: frames made in place are the frames made the plain way, and come together
//! again however the network cuts them and however full the receiver's block already is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quiver_protocol::chunk::{BLOCK, HEADROOM, UnpackStep, Unpacker, frame_in_place};
use quiver_protocol::{FrameKind, frame, limits::CHUNK};

fuzz_target!(|input: (u8, u32, u8, Vec<u16>, u16, Vec<u8>)| {
    let (long, length, factor, cuts, used, head) = input;
    // Too long to be drawn byte by byte: some bytes as drawn, the rest by rule.
    let length = length as usize % if long < 16 { 2 * BLOCK + 1 } else { 6 * CHUNK };
    let mut content: Vec<u8> = (0..length).map(|i| (i * usize::from(factor) % 251) as u8).collect();
    for (byte, drawn) in content.iter_mut().zip(&head) {
        *byte = *drawn;
    }

    let mut plain = Vec::new();
    for chunk in content.chunks(CHUNK) {
        frame::append(&mut plain, FrameKind::Data, chunk).expect("a chunk fits a frame");
    }
    let mut wire = Vec::new();
    for block in content.chunks(BLOCK) {
        let mut buffer = vec![0xaa; HEADROOM];
        buffer.extend_from_slice(block);
        let framed = frame_in_place(&mut buffer, block.len());
        wire.extend_from_slice(&buffer[..framed]);
    }
    assert!(wire == plain, "{length} bytes framed in place differ");
    frame::append(&mut wire, FrameKind::Eof, b"{}").expect("it fits");

    let mut unpacker = Unpacker::new(length as u64);
    let mut cuts = cuts.iter().cycle();
    let (mut left, mut got) = (&wire[..], Vec::new());
    // A block that others have begun to fill is full sooner.
    let used = BLOCK - usize::from(used).min(BLOCK);
    let mut block = vec![0; used];
    let mut begun = used;
    let end = 'stream: loop {
        assert!(!left.is_empty(), "no Eof in all these bytes");
        let cut = cuts.next().map_or(usize::MAX, |cut| usize::from(*cut).max(1)).min(left.len());
        let mut piece = &left[..cut];
        left = &left[cut..];
        loop {
            let step = unpacker.feed(&mut piece, &mut block).expect("these are good frames");
            assert!(block.len() <= BLOCK, "a block grew beyond its size");
            match step {
                UnpackStep::NeedInput => break,
                UnpackStep::BlockReady => {
                    assert!(block.len() > BLOCK - CHUNK, "full with room for a chunk");
                    got.extend_from_slice(&block[begun..]);
                    begun = 0;
                    block.clear();
                }
                UnpackStep::End(kind, payload) => break 'stream (kind, payload),
            }
        }
        assert!(piece.is_empty(), "hungry with food on the table");
        assert_eq!(unpacker.seen(), (got.len() + block.len() - begun) as u64);
    };
    got.extend_from_slice(&block[begun..]);
    assert!(got == content, "{length} bytes came out differently");
    assert_eq!(end, (FrameKind::Eof, b"{}".to_vec()));
});
