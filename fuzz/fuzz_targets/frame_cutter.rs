//! Fuzzes the cutter of relayed frames with arbitrary bytes: however they are split, it agrees with a simple reader of
//! all bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quiver_fuzz::frame_kind;
use quiver_protocol::{FrameCutter, FrameError, FrameHeader, FrameKind, limits};

/// What a relay carries: packets of an allowed length, and the frames that end it.
fn check(header: FrameHeader) -> Result<(), FrameError> {
    let length = usize::from(header.length);
    match header.kind {
        FrameKind::Packet if length > limits::PACKET => {
            Err(FrameError::TooLong { length, limit: limits::PACKET })
        }
        FrameKind::Packet | FrameKind::Eof | FrameKind::Error => Ok(()),
        found => Err(FrameError::Unexpected { found, expected: "Packet" }),
    }
}

/// The frames, and whether the bytes end with a whole one.
type Outcome = (Vec<Vec<u8>>, Result<bool, FrameError>);

/// Reads frames by the rules of docs/protocol.md, with all bytes at once.
fn read_at_once(mut wire: &[u8]) -> Outcome {
    let mut frames = Vec::new();
    loop {
        let [kind, high, low, ..] = wire else { return (frames, Ok(wire.is_empty())) };
        let length = usize::from(*high) * 256 + usize::from(*low);
        let kind = match frame_kind(*kind) {
            Ok(kind) => kind,
            Err(error) => return (frames, Err(error)),
        };
        if let Err(error) = check(FrameHeader { kind, length: length as u16 }) {
            return (frames, Err(error));
        }
        let Some((frame, rest)) = wire.split_at_checked(3 + length) else {
            return (frames, Ok(false));
        };
        frames.push(frame.to_vec());
        wire = rest;
    }
}

/// Reads frames with the cutter, in pieces.
fn cut(mut wire: &[u8], piece_lengths: &[u8]) -> Outcome {
    let (mut cutter, mut frames) = (FrameCutter::new(check), Vec::new());
    let mut piece_lengths = piece_lengths.iter().cycle();
    while !wire.is_empty() {
        let length = piece_lengths.next().map_or(usize::MAX, |length| usize::from(*length).max(1));
        let (piece, rest) = wire.split_at(length.min(wire.len()));
        wire = rest;
        let cut = cutter.push(piece, |header, frame| {
            assert_eq!(frame[..FrameHeader::LENGTH], header.encode());
            frames.push(frame.to_vec());
        });
        if let Err(error) = cut {
            return (frames, Err(error));
        }
    }
    (frames, Ok(cutter.is_complete()))
}

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (piece_lengths, wire) = input;
    assert_eq!(cut(&wire, &piece_lengths), read_at_once(&wire));
});
