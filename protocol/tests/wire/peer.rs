//! Golden files of the requests and replies between two clients.

use proptest::prelude::*;
use quiver_protocol::reply::EntryKind;
use quiver_protocol::{
    Commitment, DialRequest, FolderPath, FrameError, MessageId, Nonce, Offer, OfferId,
    OfferedEntry, PeerReply, PeerRequest, RefusalCode, limits,
};

use crate::golden;
use crate::payloads::{check_payloads, file_prefix, introduction_id, path};

fn offer_id() -> OfferId {
    OfferId(*b"an offer, 16 b. ")
}

#[test]
fn requests_between_clients_are_encoded_as_pinned() {
    let entry = |name: &str, kind, size| OfferedEntry { name: path(name), kind, size };
    let offer = |entries: Vec<OfferedEntry>, files, bytes| {
        let count = entries.len() as u64;
        PeerRequest::Offer(Offer { offer: offer_id(), entries, count, files, bytes })
    };
    let tell = |text: &str| {
        let id = MessageId(*b"a message, 16 b.");
        PeerRequest::Tell { id, text: text.to_owned() }
    };
    let offered_path = |rest: &str| format!("{}{rest}", offer_id());
    let list =
        |rest: &str| PeerRequest::List { path: FolderPath::parse(&offered_path(rest)).unwrap() };
    let table = [
        ("offer", offer(vec![entry("a.txt", EntryKind::File, Some(12))], 1, Some(12))),
        ("offer-folder", {
            let folder = entry("photos", EntryKind::Folder, Some(1_000_000));
            offer(vec![folder, entry("a \"b\"", EntryKind::File, Some(0))], 4, Some(1_000_000))
        }),
        ("offer-pipe", offer(vec![entry("x.tar", EntryKind::File, None)], 1, None)),
        ("offer-more", {
            let entries = vec![entry("a.txt", EntryKind::File, Some(12))];
            let (count, files, bytes) = (u64::MAX, u64::MAX, Some(u64::MAX));
            PeerRequest::Offer(Offer { offer: offer_id(), entries, count, files, bytes })
        }),
        ("withdraw", PeerRequest::Withdraw { offer: offer_id() }),
        ("tell", tell("Hello")),
        ("tell-escapes", tell("\"\\\n\u{1b}")),
        ("verify", PeerRequest::Verify { commitment: Commitment([0xc0; 32]) }),
        ("dial", {
            let addresses = ["192.0.2.7:50000", "[2001:db8::7]:50000"];
            let addresses = addresses.map(|address| address.parse().unwrap()).into();
            PeerRequest::Dial(DialRequest { introduction: introduction_id(), round: 0, addresses })
        }),
        ("nominate", PeerRequest::Nominate { introduction: introduction_id() }),
        ("list", list("")),
        ("list-folder", list("/photos")),
        ("get", PeerRequest::Get { path: path(&offered_path("/a.txt")), have: None }),
        ("get-rest", {
            let path = path(&offered_path("/photos/a.jpg"));
            PeerRequest::Get { path, have: Some(file_prefix()) }
        }),
        ("exit", PeerRequest::Exit),
    ];
    for (name, request) in &table {
        // A new request fails to compile here: add rows for it above.
        let command = match request {
            PeerRequest::Offer(_) => "offer",
            PeerRequest::Withdraw { .. } => "withdraw",
            PeerRequest::Tell { .. } => "tell",
            PeerRequest::Verify { .. } => "verify",
            PeerRequest::Dial(_) => "dial",
            PeerRequest::Nominate { .. } => "nominate",
            PeerRequest::List { .. } => "list",
            PeerRequest::Get { .. } => "get",
            PeerRequest::Exit => "exit",
        };
        assert!(name.starts_with(command), "{name} is a {command}");
    }
    let decode = |payload: &[u8]| PeerRequest::decode(payload).ok();
    check_payloads("peer-requests", &table, PeerRequest::encode, decode);
}

#[test]
fn replies_between_clients_are_encoded_as_pinned() {
    let addresses =
        vec!["198.51.100.7:4433".parse().unwrap(), "[2001:db8::9]:4433".parse().unwrap()];
    let table = [
        ("pending", PeerReply::Pending),
        ("accepted", PeerReply::Accepted),
        ("nonce", PeerReply::Nonce { nonce: Nonce([0x0e; 32]) }),
        ("addresses", PeerReply::Addresses { addresses }),
        ("addresses-none", PeerReply::Addresses { addresses: Vec::new() }),
        ("start", PeerReply::Start),
    ];
    for (name, reply) in &table {
        // A new reply fails to compile here: add rows for it above.
        let kind = match reply {
            PeerReply::Pending => "pending",
            PeerReply::Accepted => "accepted",
            PeerReply::Nonce { .. } => "nonce",
            PeerReply::Addresses { .. } => "addresses",
            PeerReply::Start => "start",
        };
        assert!(name.starts_with(kind), "{name} is a {kind}");
    }
    let decode = |payload: &[u8]| PeerReply::decode(payload).ok();
    check_payloads("peer-replies", &table, PeerReply::encode, decode);
}

#[test]
fn refused_requests_between_clients_have_the_pinned_codes() {
    for (code, payload) in golden::lines("peer-refused.txt") {
        let refusal = PeerRequest::decode(payload.as_bytes()).expect_err(&payload);
        assert_eq!(serde_json::to_value(refusal.code).unwrap(), code, "{payload}");
    }
}

#[test]
fn lists_over_their_limit_are_refused() {
    let entry = r#"{"name":"a","kind":"file","size":1}"#;
    let offer = |count: usize| {
        let entries = vec![entry; count].join(",");
        let id = offer_id();
        format!(
            r#"{{"command":"offer","offer":"{id}","entries":[{entries}],"count":99,"files":1,"bytes":1}}"#
        )
    };
    assert!(PeerRequest::decode(offer(16).as_bytes()).is_ok());
    let refusal = PeerRequest::decode(offer(17).as_bytes()).unwrap_err();
    assert_eq!(serde_json::to_value(refusal.code).unwrap(), "too_large");
    let addresses = |count: usize| {
        let addresses = vec![r#""192.0.2.1:1""#; count].join(",");
        format!(r#"{{"reply":"addresses","addresses":[{addresses}]}}"#)
    };
    assert!(PeerReply::decode(addresses(32).as_bytes()).is_ok());
    assert!(PeerReply::decode(addresses(33).as_bytes()).is_err());
}

/// The payloads of golden files, each with a part of it replaced by arbitrary bytes.
fn changed_payload(files: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let payloads: Vec<_> = files
        .iter()
        .flat_map(|file| golden::lines(file))
        .map(|(_, payload)| payload.into_bytes())
        .collect();
    let bytes = proptest::collection::vec(any::<u8>(), 0..12);
    let start = any::<prop::sample::Index>();
    (prop::sample::select(payloads), start, 0..12_usize, bytes).prop_map(
        |(mut payload, start, removed, bytes)| {
            let start = start.index(payload.len());
            let end = payload.len().min(start + removed);
            payload.splice(start..end, bytes);
            payload
        },
    )
}

fn check_any_request(payload: &[u8]) {
    match PeerRequest::decode(payload) {
        Ok(request) => {
            if let PeerRequest::Offer(offer) = &request {
                assert!((1..=offer.count).contains(&(offer.entries.len() as u64)), "{offer:?}");
            }
            assert_eq!(PeerRequest::decode(&request.encode()), Ok(request));
        }
        Err(refusal) => {
            let is_expected = matches!(
                refusal.code,
                RefusalCode::BadRequest
                    | RefusalCode::UnknownCommand
                    | RefusalCode::BadPath
                    | RefusalCode::TooLarge
            );
            assert!(is_expected && refusal.encode().len() <= limits::FRAME, "{refusal:?}");
        }
    }
}

fn check_any_reply(payload: &[u8]) {
    match PeerReply::decode(payload) {
        Ok(reply) => assert_eq!(PeerReply::decode(&reply.encode()), Ok(reply)),
        Err(error) => assert!(matches!(error, FrameError::Malformed { .. }), "{error}"),
    }
}

proptest! {
    #[test]
    fn any_request_between_clients_is_read_back_unchanged_or_refused(
        any_bytes in proptest::collection::vec(any::<u8>(), 0..300),
        changed in changed_payload(&["peer-requests.txt", "peer-refused.txt"]),
    ) {
        check_any_request(&any_bytes);
        check_any_request(&changed);
    }

    #[test]
    fn any_reply_between_clients_is_read_back_unchanged_or_malformed(
        any_bytes in proptest::collection::vec(any::<u8>(), 0..300),
        changed in changed_payload(&["peer-replies.txt"]),
    ) {
        check_any_reply(&any_bytes);
        check_any_reply(&changed);
    }

    #[test]
    fn any_text_between_clients_is_read_back_unchanged(id: [u8; 16], text: String) {
        let request = PeerRequest::Tell { id: MessageId(id), text };
        prop_assert_eq!(PeerRequest::decode(&request.encode()), Ok(request));
    }
}
