//! Golden file of the objects in Eof and Received frames.

use quiver_protocol::reply::{LeftOutName, LeftOutReason};
use quiver_protocol::{
    Bottleneck, ContentEnd, EofPayload, ListEnd, MakeFolderEnd, NetworkLimit, OfferEnd, PlainEnd,
    Received, VerifyEnd,
};

use crate::golden::{self, check};
use crate::payloads::file_hash;

/// The object of any Eof or Received frame. No field tells its type, which follows from the
/// command.
#[derive(Debug, PartialEq)]
enum AnyEnd {
    Plain(PlainEnd),
    List(ListEnd),
    MakeFolder(MakeFolderEnd),
    Content(ContentEnd),
    Received(Received),
    Offer(OfferEnd),
    Verify(VerifyEnd),
}

/// The end of a list that leaves out a name for each reason.
fn left_out_end() -> ListEnd {
    use LeftOutReason::{BadName, Device, Pipe, Socket, SymbolicLink, Unknown, Unreadable};
    let reasons = [SymbolicLink, Pipe, Socket, Device, Unreadable, BadName];
    // A new reason fails to compile here: add it above.
    for reason in reasons {
        match reason {
            SymbolicLink | Pipe | Socket | Device | Unreadable | BadName => {}
            Unknown => panic!("a program never sends an unknown reason"),
        }
    }
    let left_out = reasons.map(|why| LeftOutName { name: "a".to_owned(), why });
    ListEnd { entries: 1, not_served: 6, unreadable: 1, left_out: left_out.to_vec() }
}

#[test]
fn a_reason_from_a_newer_program_is_unknown() {
    let end = br#"{"entries":0,"not_served":1,"left_out":[{"name":"a","why":"haunted"}]}"#;
    let why = ListEnd::decode(end).unwrap().left_out[0].why;
    assert_eq!(why, LeftOutReason::Unknown);
}

#[test]
fn eof_and_received_objects_are_encoded_as_pinned() {
    fn encode(end: &AnyEnd) -> Vec<u8> {
        match end {
            AnyEnd::Plain(end) => end.encode(),
            AnyEnd::List(end) => end.encode(),
            AnyEnd::MakeFolder(end) => end.encode(),
            AnyEnd::Content(end) => end.encode(),
            AnyEnd::Received(end) => end.encode(),
            AnyEnd::Offer(end) => end.encode(),
            AnyEnd::Verify(end) => end.encode(),
        }
    }
    let content = |slowed_by| {
        // A new bottleneck fails to compile here: add a row for it below.
        if let Some(bottleneck) = slowed_by {
            match bottleneck {
                Bottleneck::Disk
                | Bottleneck::Processor
                | Bottleneck::Pipe
                | Bottleneck::Limit
                | Bottleneck::Network => {}
                Bottleneck::Unknown => panic!("a program never sends an unknown bottleneck"),
            }
        }
        AnyEnd::Content(ContentEnd { size: 12, blake3: file_hash(), slowed_by, network: None })
    };
    let held_back = |network| {
        // A new limit fails to compile here: add a row for it below.
        match network {
            NetworkLimit::Path | NetworkLimit::ReceiveWindow | NetworkLimit::SendWindow => {}
            NetworkLimit::Unknown => panic!("a program never sends an unknown limit"),
        }
        let (slowed_by, network) = (Some(Bottleneck::Network), Some(network));
        AnyEnd::Content(ContentEnd { size: 12, blake3: file_hash(), slowed_by, network })
    };
    let received = |slowed_by| AnyEnd::Received(Received { blake3: file_hash(), slowed_by });
    let rows = [
        ("eof", AnyEnd::Plain(PlainEnd {})),
        ("eof-list", AnyEnd::List(ListEnd { entries: 1, ..ListEnd::default() })),
        ("eof-list-left-out", AnyEnd::List(left_out_end())),
        ("eof-make_folder", AnyEnd::MakeFolder(MakeFolderEnd { created: true })),
        ("eof-content", content(None)),
        ("received", received(None)),
        ("eof-content-disk", content(Some(Bottleneck::Disk))),
        ("eof-content-processor", content(Some(Bottleneck::Processor))),
        ("eof-content-pipe", content(Some(Bottleneck::Pipe))),
        ("eof-content-limit", content(Some(Bottleneck::Limit))),
        ("eof-content-network", content(Some(Bottleneck::Network))),
        ("eof-content-path", held_back(NetworkLimit::Path)),
        ("eof-content-receive_window", held_back(NetworkLimit::ReceiveWindow)),
        ("eof-content-send_window", held_back(NetworkLimit::SendWindow)),
        ("received-disk", received(Some(Bottleneck::Disk))),
        ("eof-offer", AnyEnd::Offer(OfferEnd { files: 3, bytes: 1_000_000 })),
        ("eof-verify", AnyEnd::Verify(VerifyEnd { same: true })),
    ];
    check(
        "ends.txt",
        rows.iter()
            .map(|(name, end)| ((*name).to_owned(), String::from_utf8(encode(end)).unwrap())),
    );
    for (name, payload) in
        golden::lines("ends.txt").iter().chain(&golden::lines("foreign-ends.txt"))
    {
        let payload = payload.as_bytes();
        let decoded = match name.as_str() {
            "eof" => PlainEnd::decode(payload).map(AnyEnd::Plain),
            "eof-list" | "eof-list-left-out" => ListEnd::decode(payload).map(AnyEnd::List),
            "eof-make_folder" => MakeFolderEnd::decode(payload).map(AnyEnd::MakeFolder),
            "eof-offer" => OfferEnd::decode(payload).map(AnyEnd::Offer),
            "eof-verify" => VerifyEnd::decode(payload).map(AnyEnd::Verify),
            name if name.starts_with("eof-content") => {
                ContentEnd::decode(payload).map(AnyEnd::Content)
            }
            name if name.starts_with("received") => Received::decode(payload).map(AnyEnd::Received),
            unknown => panic!("no row has the name {unknown}"),
        };
        let (_, expected) = rows.iter().find(|(known, _)| known == name).unwrap();
        assert_eq!(decoded.as_ref(), Ok(expected), "{}", payload.escape_ascii());
    }
}

#[test]
fn a_bottleneck_from_a_newer_program_is_unknown() {
    let hash = file_hash();
    let end = format!(r#"{{"size":12,"blake3":"{hash}","slowed_by":"moon_phase"}}"#);
    let slowed_by = Some(Bottleneck::Unknown);
    let expected = ContentEnd { size: 12, blake3: hash, slowed_by, network: None };
    assert_eq!(ContentEnd::decode(end.as_bytes()), Ok(expected));
    let end =
        format!(r#"{{"size":12,"blake3":"{hash}","slowed_by":"network","network":"dark_matter"}}"#);
    assert_eq!(ContentEnd::decode(end.as_bytes()).unwrap().network, Some(NetworkLimit::Unknown));
    let received = format!(r#"{{"blake3":"{hash}","slowed_by":"moon_phase"}}"#);
    assert_eq!(Received::decode(received.as_bytes()), Ok(Received { blake3: hash, slowed_by }));
}
