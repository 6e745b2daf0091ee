//! Fuzzes whole streams: decodes each frame by its kind, and content with the unpacker. The decoded
//! items are encoded, and must be decoded again as the same items.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quiver_protocol::chunk::{self, UnpackStep, Unpacker};
use quiver_protocol::{
    ContentEnd, EofPayload, Event, FrameError, FrameHeader, FrameKind, ListEnd, PlainEnd, Received,
    Refusal, Reply, Request, frame, limits,
};

/// One decoded frame, or the content of consecutive Data frames.
#[derive(Debug, PartialEq)]
enum StreamItem {
    Request(Request),
    InvalidRequest(Refusal),
    Reply(Reply),
    Event(Event),
    Content(Vec<u8>),
    ContentEnd(ContentEnd),
    ListEnd(ListEnd),
    PlainEnd(PlainEnd),
    Error(Refusal),
    Received(Received),
    Packet(Vec<u8>),
}

/// Decodes items until the bytes end or are not valid.
fn decode_stream(mut wire: &[u8]) -> Vec<StreamItem> {
    let mut items = Vec::new();
    while let Ok(Some(item)) = decode_next(&mut wire) {
        // After a File reply comes its content, up to the first frame of another kind than Data.
        let announced = match &item {
            StreamItem::Reply(Reply::File(file)) => Some(file.size.saturating_sub(file.offset)),
            _ => None,
        };
        items.push(item);
        if let Some(announced) = announced {
            let Some((content, kind, payload)) = unpack(&mut wire, announced) else { break };
            assert!(content.len() as u64 <= announced);
            let Ok(end) = decode_payload(kind, &payload) else { break };
            items.extend([StreamItem::Content(content), end]);
        }
    }
    items
}

fn decode_next(wire: &mut &[u8]) -> Result<Option<StreamItem>, FrameError> {
    let Some((header, rest)) = wire.split_first_chunk::<{ FrameHeader::LENGTH }>() else {
        return Ok(None);
    };
    let header = FrameHeader::parse(*header)?;
    assert_eq!(FrameHeader::parse(header.encode()), Ok(header));
    let Some((payload, rest)) = rest.split_at_checked(usize::from(header.length)) else {
        return Err(FrameError::Truncated);
    };
    *wire = rest;
    decode_payload(header.kind, payload).map(Some)
}

fn decode_payload(kind: FrameKind, payload: &[u8]) -> Result<StreamItem, FrameError> {
    Ok(match kind {
        FrameKind::Request => match Request::decode(payload) {
            Ok(request) => StreamItem::Request(request),
            Err(refusal) => StreamItem::InvalidRequest(refusal),
        },
        FrameKind::Reply => match Reply::decode(payload) {
            Ok(reply) => StreamItem::Reply(reply),
            Err(_) => StreamItem::Event(Event::decode(payload)?),
        },
        FrameKind::Data => {
            let found = FrameKind::Data;
            return Err(FrameError::Unexpected { found, expected: "anything else" });
        }
        FrameKind::Eof => match (ContentEnd::decode(payload), ListEnd::decode(payload)) {
            (Ok(end), _) => StreamItem::ContentEnd(end),
            (_, Ok(end)) => StreamItem::ListEnd(end),
            _ => StreamItem::PlainEnd(PlainEnd::decode(payload)?),
        },
        FrameKind::Error => StreamItem::Error(Refusal::decode(payload)?),
        FrameKind::Received => StreamItem::Received(Received::decode(payload)?),
        FrameKind::Packet => StreamItem::Packet(payload.to_vec()),
    })
}

/// The content, and the kind and payload of the frame that ends it; `None` if the bytes end first
/// or are not valid.
fn unpack(wire: &mut &[u8], announced: u64) -> Option<(Vec<u8>, FrameKind, Vec<u8>)> {
    let mut unpacker = Unpacker::new(announced);
    let (mut content, mut block) = (Vec::new(), Vec::new());
    loop {
        let step = unpacker.feed(wire, &mut block).ok()?;
        content.append(&mut block);
        assert_eq!(unpacker.received(), content.len() as u64);
        match step {
            UnpackStep::NeedInput => return None,
            UnpackStep::BlockReady => {}
            UnpackStep::End(kind, payload) => return Some((content, kind, payload)),
        }
    }
}

/// Encodes items; `None` if one does not fit a frame.
fn encode_stream(items: &[StreamItem]) -> Option<Vec<u8>> {
    let mut wire = Vec::new();
    for item in items {
        let (kind, payload) = match item {
            StreamItem::Request(request) => (FrameKind::Request, request.encode()),
            // Encoded as the server's response; see `with_errors_for_invalid_requests`.
            StreamItem::InvalidRequest(refusal) | StreamItem::Error(refusal) => {
                (FrameKind::Error, refusal.encode())
            }
            StreamItem::Reply(reply) => (FrameKind::Reply, reply.encode()),
            StreamItem::Event(event) => (FrameKind::Reply, event.encode()),
            StreamItem::ContentEnd(end) => (FrameKind::Eof, end.encode()),
            StreamItem::ListEnd(end) => (FrameKind::Eof, end.encode()),
            StreamItem::PlainEnd(end) => (FrameKind::Eof, end.encode()),
            StreamItem::Received(received) => (FrameKind::Received, received.encode()),
            StreamItem::Packet(packet) => (FrameKind::Packet, packet.clone()),
            StreamItem::Content(content) => {
                for block in content.chunks(chunk::BLOCK) {
                    let mut buffer = vec![0; chunk::HEADROOM];
                    buffer.extend_from_slice(block);
                    let length = chunk::frame_in_place(&mut buffer, block.len());
                    wire.extend_from_slice(&buffer[..length]);
                }
                continue;
            }
        };
        // Some values are longer when encoded again (`"end":null`), and may then not fit a frame.
        if payload.len() > limits::FRAME {
            return None;
        }
        frame::append(&mut wire, kind, &payload).expect("it fits");
    }
    Some(wire)
}

/// The same items with an Error, the server's response, for each invalid request.
fn with_errors_for_invalid_requests(items: Vec<StreamItem>) -> Vec<StreamItem> {
    let replace = |item| match item {
        StreamItem::InvalidRequest(refusal) => StreamItem::Error(refusal),
        item => item,
    };
    items.into_iter().map(replace).collect()
}

fuzz_target!(|wire: &[u8]| {
    let items = decode_stream(wire);
    if let Some(encoded) = encode_stream(&items) {
        assert_eq!(decode_stream(&encoded), with_errors_for_invalid_requests(items));
    }
});
