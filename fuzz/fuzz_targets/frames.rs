//! Whole streams: frame after frame through the header and the decoder of its kind, content through the
//! unpacker. What was understood is written again, and must be understood the same way.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quiver_protocol::chunk::{self, UnpackStep, Unpacker};
use quiver_protocol::{
    ContentEnd, End, Event, FrameError, FrameHeader, FrameKind, ListEnd, PlainEnd, Received,
    Refusal, Reply, Request, frame, limits,
};

#[derive(Debug, PartialEq)]
enum Item {
    Request(Request),
    Refused(Refusal),
    Reply(Reply),
    Event(Event),
    Content(Vec<u8>),
    ContentEnd(ContentEnd),
    ListEnd(ListEnd),
    PlainEnd(PlainEnd),
    Error(Refusal),
    Received(Received),
}

/// Reads until the bytes end or are no longer of the wire.
fn read(mut wire: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    while let Ok(Some(item)) = next(&mut wire) {
        // What a File announces is followed by its content, up to the frame that is none.
        let announced = match &item {
            Item::Reply(Reply::File(head)) => Some(head.size.saturating_sub(head.offset)),
            _ => None,
        };
        items.push(item);
        if let Some(announced) = announced {
            let Some((content, (kind, payload))) = unpack(&mut wire, announced) else { break };
            assert!(content.len() as u64 <= announced);
            let Ok(tail) = decode(kind, &payload) else { break };
            items.extend([Item::Content(content), tail]);
        }
    }
    items
}

fn next(wire: &mut &[u8]) -> Result<Option<Item>, FrameError> {
    let Some((header, rest)) = wire.split_first_chunk::<{ FrameHeader::LENGTH }>() else {
        return Ok(None);
    };
    let header = FrameHeader::parse(*header)?;
    assert_eq!(FrameHeader::parse(header.encode()), Ok(header));
    let Some((payload, rest)) = rest.split_at_checked(usize::from(header.length)) else {
        return Err(FrameError::Truncated);
    };
    *wire = rest;
    decode(header.kind, payload).map(Some)
}

fn decode(kind: FrameKind, payload: &[u8]) -> Result<Item, FrameError> {
    Ok(match kind {
        FrameKind::Request => match Request::decode(payload) {
            Ok(request) => Item::Request(request),
            Err(refusal) => Item::Refused(refusal),
        },
        FrameKind::Reply => match Reply::decode(payload) {
            Ok(reply) => Item::Reply(reply),
            Err(_) => Item::Event(Event::decode(payload)?),
        },
        FrameKind::Data => {
            let found = FrameKind::Data;
            return Err(FrameError::Unexpected { found, expected: "anything else" });
        }
        FrameKind::Eof => match (ContentEnd::decode(payload), ListEnd::decode(payload)) {
            (Ok(end), _) => Item::ContentEnd(end),
            (_, Ok(end)) => Item::ListEnd(end),
            _ => Item::PlainEnd(PlainEnd::decode(payload)?),
        },
        FrameKind::Error => Item::Error(Refusal::decode(payload)?),
        FrameKind::Received => Item::Received(Received::decode(payload)?),
    })
}

type Tail = (FrameKind, Vec<u8>);

fn unpack(wire: &mut &[u8], announced: u64) -> Option<(Vec<u8>, Tail)> {
    let mut unpacker = Unpacker::new(announced);
    let (mut content, mut block) = (Vec::new(), Vec::new());
    loop {
        let step = unpacker.feed(wire, &mut block).ok()?;
        content.append(&mut block);
        assert_eq!(unpacker.seen(), content.len() as u64);
        match step {
            UnpackStep::NeedInput => return None,
            UnpackStep::BlockReady => {}
            UnpackStep::End(kind, payload) => return Some((content, (kind, payload))),
        }
    }
}

/// Writes what was read.
fn write(items: &[Item]) -> Option<Vec<u8>> {
    let mut wire = Vec::new();
    for item in items {
        let (kind, payload) = match item {
            Item::Request(request) => (FrameKind::Request, request.encode()),
            // Written as what a server would answer; see `answered`.
            Item::Refused(refusal) | Item::Error(refusal) => (FrameKind::Error, refusal.encode()),
            Item::Reply(reply) => (FrameKind::Reply, reply.encode()),
            Item::Event(event) => (FrameKind::Reply, event.encode()),
            Item::ContentEnd(end) => (FrameKind::Eof, end.encode()),
            Item::ListEnd(end) => (FrameKind::Eof, end.encode()),
            Item::PlainEnd(end) => (FrameKind::Eof, end.encode()),
            Item::Received(received) => (FrameKind::Received, received.encode()),
            Item::Content(content) => {
                for block in content.chunks(chunk::BLOCK) {
                    let mut buffer = vec![0; chunk::HEADROOM];
                    buffer.extend_from_slice(block);
                    let length = chunk::frame_in_place(&mut buffer, block.len());
                    wire.extend_from_slice(&buffer[..length]);
                }
                continue;
            }
        };
        // Some values grow when written the long way (`"end":null`): near the limit they no longer fit.
        if payload.len() > limits::FRAME {
            return None;
        }
        frame::append(&mut wire, kind, &payload).expect("it fits");
    }
    Some(wire)
}

fn answered(items: Vec<Item>) -> Vec<Item> {
    let answer = |item| match item {
        Item::Refused(refusal) => Item::Error(refusal),
        item => item,
    };
    items.into_iter().map(answer).collect()
}

fuzz_target!(|wire: &[u8]| {
    let items = read(wire);
    if let Some(written) = write(&items) {
        assert_eq!(read(&written), answered(items));
    }
});
