//! Fuzzes the unpacker with arbitrary bytes: however they are split, it agrees with a simple reader
//! of all bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quiver_fuzz::frame_kind;
use quiver_protocol::chunk::{UnpackStep, Unpacker};
use quiver_protocol::{FrameError, FrameKind, limits::CHUNK};

/// How the reading of content ended.
#[derive(Debug, PartialEq)]
enum UnpackOutcome {
    NeedInput,
    End(FrameKind, Vec<u8>),
    Rejected(FrameError),
}

/// Reads content by the rules of docs/protocol.md, with all bytes at once.
fn read_at_once(mut wire: &[u8], announced: u64) -> (Vec<u8>, UnpackOutcome) {
    let (mut content, mut had_short_chunk) = (Vec::new(), false);
    loop {
        let [kind, high, low, rest @ ..] = wire else {
            return (content, UnpackOutcome::NeedInput);
        };
        let length = usize::from(*high) * 256 + usize::from(*low);
        let why = match kind {
            2 if length == 0 => Some("has no content"),
            2 if length > CHUNK => Some("is longer than a chunk"),
            2 if had_short_chunk => Some("follows a shorter one"),
            _ => None,
        };
        if let Some(why) = why {
            return (content, UnpackOutcome::Rejected(FrameError::Chunk { length, why }));
        }
        if *kind == 2 && content.len() + length > announced.min(1 << 40) as usize {
            let error = FrameError::TooMuchContent { announced };
            return (content, UnpackOutcome::Rejected(error));
        }
        let end_kind = match frame_kind(*kind) {
            Ok(FrameKind::Data) => {
                had_short_chunk = length < CHUNK;
                content.extend_from_slice(&rest[..length.min(rest.len())]);
                let Some(rest) = rest.get(length..) else {
                    return (content, UnpackOutcome::NeedInput);
                };
                wire = rest;
                continue;
            }
            Ok(kind) => kind,
            Err(error) => return (content, UnpackOutcome::Rejected(error)),
        };
        return match rest.get(..length) {
            Some(payload) => (content, UnpackOutcome::End(end_kind, payload.to_vec())),
            None => (content, UnpackOutcome::NeedInput),
        };
    }
}

/// Reads content with the unpacker, in pieces.
fn unpack(mut wire: &[u8], announced: u64, piece_lengths: &[u8]) -> (Vec<u8>, UnpackOutcome) {
    let mut unpacker = Unpacker::new(announced);
    let mut piece_lengths = piece_lengths.iter().cycle();
    let (mut content, mut block) = (Vec::new(), Vec::new());
    loop {
        let length = piece_lengths.next().map_or(usize::MAX, |length| usize::from(*length).max(1));
        let (mut piece, rest) = wire.split_at(length.min(wire.len()));
        wire = rest;
        loop {
            let step = unpacker.feed(&mut piece, &mut block);
            content.append(&mut block);
            match step {
                Ok(UnpackStep::BlockReady) => {}
                Ok(UnpackStep::NeedInput) => break,
                Ok(UnpackStep::End(kind, payload)) => {
                    return (content, UnpackOutcome::End(kind, payload));
                }
                Err(error) => return (content, UnpackOutcome::Rejected(error)),
            }
        }
        assert_eq!(unpacker.received(), content.len() as u64);
        assert!(piece.is_empty(), "the unpacker asked for input and left some unread");
        if wire.is_empty() {
            return (content, UnpackOutcome::NeedInput);
        }
    }
}

fuzz_target!(|input: (u64, Vec<u8>, bool, Vec<u8>)| {
    let (announced, piece_lengths, is_small, wire) = input;
    let announced = if is_small { announced % 5000 } else { announced };
    assert_eq!(unpack(&wire, announced, &piece_lengths), read_at_once(&wire, announced));
});
