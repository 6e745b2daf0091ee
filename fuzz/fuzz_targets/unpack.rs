//! Hostile bytes for the unpacker: however they are cut, it says what a plain reader of the whole says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quiver_protocol::chunk::{UnpackStep, Unpacker};
use quiver_protocol::{FrameError, FrameKind, limits::CHUNK};

#[derive(Debug, PartialEq)]
enum Outcome {
    Hungry,
    Tail(FrameKind, Vec<u8>),
    Refused(FrameError),
}

/// The rules of docs/protocol.md, written down plainly; the content, and how it ended.
fn plain(mut wire: &[u8], announced: u64) -> (Vec<u8>, Outcome) {
    let (mut content, mut short) = (Vec::new(), false);
    loop {
        let [kind, high, low, rest @ ..] = wire else { return (content, Outcome::Hungry) };
        let length = usize::from(*high) * 256 + usize::from(*low);
        let refused = |error| Outcome::Refused(error);
        let why = match kind {
            2 if length == 0 => Some("has no content"),
            2 if length > CHUNK => Some("is longer than a chunk"),
            2 if short => Some("follows a shorter one"),
            _ => None,
        };
        if let Some(why) = why {
            return (content, refused(FrameError::Chunk { length, why }));
        }
        if *kind == 2 && content.len() + length > announced.min(1 << 40) as usize {
            return (content, refused(FrameError::TooMuchContent { announced }));
        }
        let tail = match kind {
            0 => FrameKind::Request,
            1 => FrameKind::Reply,
            2 => {
                short = length < CHUNK;
                content.extend_from_slice(&rest[..length.min(rest.len())]);
                let Some(rest) = rest.get(length..) else { return (content, Outcome::Hungry) };
                wire = rest;
                continue;
            }
            3 => FrameKind::Eof,
            4 => FrameKind::Error,
            5 => FrameKind::Received,
            unknown => return (content, refused(FrameError::UnknownKind(*unknown))),
        };
        return match rest.get(..length) {
            Some(payload) => (content, Outcome::Tail(tail, payload.to_vec())),
            None => (content, Outcome::Hungry),
        };
    }
}

fn unpacked(mut wire: &[u8], announced: u64, cuts: &[u8]) -> (Vec<u8>, Outcome) {
    let mut unpacker = Unpacker::new(announced);
    let mut cuts = cuts.iter().cycle();
    let (mut content, mut block) = (Vec::new(), Vec::new());
    loop {
        let cut = cuts.next().map_or(usize::MAX, |cut| usize::from(*cut).max(1)).min(wire.len());
        let mut piece = &wire[..cut];
        wire = &wire[cut..];
        loop {
            let step = unpacker.feed(&mut piece, &mut block);
            content.append(&mut block);
            match step {
                Ok(UnpackStep::BlockReady) => {}
                Ok(UnpackStep::NeedInput) => break,
                Ok(UnpackStep::End(kind, payload)) => return (content, Outcome::Tail(kind, payload)),
                Err(error) => return (content, Outcome::Refused(error)),
            }
        }
        assert_eq!(unpacker.seen(), content.len() as u64);
        assert!(piece.is_empty(), "hungry with food on the table");
        if wire.is_empty() {
            return (content, Outcome::Hungry);
        }
    }
}

fuzz_target!(|input: (u64, Vec<u8>, bool, Vec<u8>)| {
    let (announced, cuts, small, wire) = input;
    let announced = if small { announced % 5000 } else { announced };
    assert_eq!(unpacked(&wire, announced, &cuts), plain(&wire, announced));
});
