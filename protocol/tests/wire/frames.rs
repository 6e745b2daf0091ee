//! Golden files of frames, of a whole conversation, and of the protocol's numbers.

use data_encoding::HEXLOWER;
use quiver_protocol::reply::FileHeader;
use quiver_protocol::{
    CloseCode, ContentEnd, ContentHash, EofPayload, FilePath, FrameHeader, FrameKind, PlainEnd,
    Received, Refusal, RefusalCode, Reply, Request, Timestamp, chunk, frame, limits, version,
};

use crate::golden::{self, check};

const KINDS: [FrameKind; 7] = [
    FrameKind::Request,
    FrameKind::Reply,
    FrameKind::Data,
    FrameKind::Eof,
    FrameKind::Error,
    FrameKind::Received,
    FrameKind::Packet,
];

fn kind_name(kind: FrameKind) -> &'static str {
    // A new kind fails to compile here: add it to `KINDS` too.
    match kind {
        FrameKind::Request => "request",
        FrameKind::Reply => "reply",
        FrameKind::Data => "data",
        FrameKind::Eof => "eof",
        FrameKind::Error => "error",
        FrameKind::Received => "received",
        FrameKind::Packet => "packet",
    }
}

#[test]
fn frames_are_encoded_as_pinned() {
    let mut rows = Vec::new();
    for kind in KINDS {
        for length in [0, 1, 0x0102, 1024, u16::MAX] {
            let name = format!("{}-header-{length}", kind_name(kind));
            let header = FrameHeader { kind, length };
            let bytes = header.encode();
            assert_eq!(FrameHeader::parse(bytes), Ok(header));
            rows.push((name, HEXLOWER.encode(&bytes)));
        }
    }
    let payloads = [
        (FrameKind::Request, Request::Status.encode()),
        (FrameKind::Reply, Reply::Goodbye.encode()),
        (FrameKind::Data, b"Quiver".to_vec()),
        (FrameKind::Eof, PlainEnd {}.encode()),
        (FrameKind::Error, Refusal::new(RefusalCode::Busy, "later").encode()),
        (FrameKind::Received, Received { blake3: ContentHash([7; 32]), slowed_by: None }.encode()),
        (FrameKind::Packet, b"Quiver".to_vec()),
    ];
    for (kind, payload) in payloads {
        rows.push((kind_name(kind).to_owned(), HEXLOWER.encode(&framed(kind, &payload))));
    }
    check("frames.txt", rows);
}

fn framed(kind: FrameKind, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::append(&mut out, kind, payload).unwrap();
    out
}

/// The conversation in docs/protocol.md: a file of 1025 bytes, of which byte i is i modulo 251.
/// BLAKE3's published test vectors have the same input.
#[test]
fn a_whole_get_is_encoded_as_pinned() {
    let content: Vec<u8> = (0..1025).map(|i| (i % 251) as u8).collect();
    let hash = ContentHash(*blake3::hash(&content).as_bytes());
    let size = content.len() as u64;
    let head = Reply::File(FileHeader {
        path: FilePath::parse("count.bin").unwrap(),
        size,
        modified: Timestamp(chrono::DateTime::from_timestamp(1_729_359_947, 0).unwrap()),
        offset: 0,
        executable: false,
    });
    let mut buffer = vec![0; chunk::HEADROOM];
    buffer.extend_from_slice(&content);
    let length = chunk::frame_in_place(&mut buffer, content.len());
    let (whole, rest) = buffer[..length].split_at(FrameHeader::LENGTH + limits::CHUNK);

    let end = ContentEnd { size, blake3: hash, slowed_by: None, network: None };
    let received = Received { blake3: hash, slowed_by: None };
    let get = Request::Get { path: FilePath::parse("count.bin").unwrap(), have: None };
    let conversation = [
        ("client-request", framed(FrameKind::Request, &get.encode())),
        ("server-reply", framed(FrameKind::Reply, &head.encode())),
        ("server-data", whole.to_vec()),
        ("server-data", rest.to_vec()),
        ("server-eof", framed(FrameKind::Eof, &end.encode())),
        ("client-received", framed(FrameKind::Received, &received.encode())),
    ];
    check("get.txt", conversation.map(|(name, bytes)| (name.to_owned(), HEXLOWER.encode(&bytes))));

    // Decoded, as a receiver does it.
    let frames = golden::lines("get.txt");
    let received: Vec<u8> =
        frames[2..5].iter().flat_map(|(_, hex)| HEXLOWER.decode(hex.as_bytes()).unwrap()).collect();
    let (mut input, mut block) = (&received[..], Vec::new());
    let step = chunk::Unpacker::new(size).feed(&mut input, &mut block).unwrap();
    let chunk::UnpackStep::End(FrameKind::Eof, payload) = step else { panic!("{step:?}") };
    assert_eq!(ContentEnd::decode(&payload), Ok(end));
    assert!(block == content && input.is_empty());
}

#[test]
fn numbers_are_as_pinned() {
    let mut rows = vec![
        ("alpn".to_owned(), String::from_utf8(version::ALPN.to_vec()).unwrap()),
        ("version".to_owned(), version::VERSION.to_string()),
        ("peer-alpn".to_owned(), String::from_utf8(version::PEER_ALPN.to_vec()).unwrap()),
    ];
    for kind in KINDS {
        rows.push((format!("frame-{}", kind_name(kind)), (kind as u8).to_string()));
    }
    for code in (0..=255).filter_map(CloseCode::from_wire) {
        // A new close code fails to compile here. Its row is added by this loop.
        let name = match code {
            CloseCode::Goodbye => "goodbye",
            CloseCode::Busy => "busy",
            CloseCode::SignInRefused => "sign-in-refused",
            CloseCode::ProtocolViolation => "protocol-violation",
            CloseCode::ShuttingDown => "shutting-down",
            CloseCode::TimedOut => "timed-out",
            CloseCode::SlotLost => "slot-lost",
            CloseCode::Superseded => "superseded",
        };
        rows.push((format!("close-{name}"), (code as u32).to_string()));
    }
    for (name, limit) in [
        ("chunk", limits::CHUNK),
        ("frame", limits::FRAME),
        ("hello", limits::HELLO),
        ("message", limits::MESSAGE),
        ("request", limits::REQUEST),
        ("received", limits::RECEIVED),
        ("name", limits::NAME),
        ("path", limits::PATH),
        ("path-part", limits::PATH_PART),
        ("password", limits::PASSWORD),
        ("hellos", limits::HELLOS as usize),
        ("connections-per-client", limits::CONNECTIONS_PER_CLIENT),
        ("streams", limits::STREAMS as usize),
        ("offer", limits::OFFER),
        ("offered-names", limits::OFFERED_NAMES),
        ("left-out-names", limits::LEFT_OUT_NAMES),
        ("addresses", limits::ADDRESSES),
        ("introductions", limits::INTRODUCTIONS),
        ("introductions-per-minute", limits::INTRODUCTIONS_PER_MINUTE),
        ("packet", limits::PACKET),
    ] {
        rows.push((format!("limit-{name}"), limit.to_string()));
    }
    check("numbers.txt", rows);
}
