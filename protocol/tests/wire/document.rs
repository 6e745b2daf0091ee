//! docs/protocol.md agrees with the code: its examples are lines of the golden files and can be
//! decoded, its numbers, codes and hex dumps are the pinned ones, and none is missing.

use std::path::Path;

use data_encoding::HEXLOWER;
use quiver_protocol::{
    ContentEnd, EofPayload, Event, ListEnd, MakeFolderEnd, OfferEnd, PeerReply, PeerRequest,
    PlainEnd, Received, Refusal, Reply, Request, VerifyEnd,
};

use crate::golden;

/// A fenced block: its info string and its lines.
struct FencedBlock {
    info: String,
    lines: Vec<String>,
}

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    std::fs::read_to_string(path).unwrap()
}

fn blocks() -> Vec<FencedBlock> {
    let mut blocks = Vec::new();
    let mut open: Option<FencedBlock> = None;
    for line in document().lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => {
                open = Some(FencedBlock { info: info.to_owned(), lines: Vec::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    blocks
}

/// The golden file that has examples of this kind.
fn golden_file(kind: &str) -> &'static str {
    match kind {
        "request" => "requests.txt",
        "peer-request" => "peer-requests.txt",
        "peer-reply" => "peer-replies.txt",
        "reply" => "replies.txt",
        "event" => "events.txt",
        "error" => "refusals.txt",
        "eof" | "eof-list" | "eof-make_folder" | "eof-content" | "eof-offer" | "eof-verify"
        | "received" => "ends.txt",
        unknown => panic!("docs/protocol.md has a block of kind {unknown:?}"),
    }
}

fn is_decodable(kind: &str, payload: &[u8]) -> bool {
    match kind {
        "request" => Request::decode(payload).is_ok(),
        "reply" => Reply::decode(payload).is_ok(),
        "peer-request" => PeerRequest::decode(payload).is_ok(),
        "peer-reply" => PeerReply::decode(payload).is_ok(),
        "event" => matches!(Event::decode(payload), Ok(event) if event != Event::Unknown),
        "error" => Refusal::decode(payload).is_ok(),
        "eof" => PlainEnd::decode(payload).is_ok(),
        "eof-list" => ListEnd::decode(payload).is_ok(),
        "eof-make_folder" => MakeFolderEnd::decode(payload).is_ok(),
        "eof-content" => ContentEnd::decode(payload).is_ok(),
        "eof-offer" => OfferEnd::decode(payload).is_ok(),
        "eof-verify" => VerifyEnd::decode(payload).is_ok(),
        "received" => Received::decode(payload).is_ok(),
        unknown => panic!("docs/protocol.md has a block of kind {unknown:?}"),
    }
}

#[test]
fn every_example_is_a_line_of_a_golden_file_and_can_be_decoded() {
    for block in blocks() {
        let Some(kind) = block.info.strip_prefix("json") else {
            assert!(block.info.is_empty() || block.info.starts_with("hex "), "{}", block.info);
            continue;
        };
        let kind = kind.trim();
        assert!(!block.lines.is_empty());
        for line in block.lines {
            assert!(is_decodable(kind, line.as_bytes()), "no {kind}: {line}");
            let pinned = golden::lines(golden_file(kind));
            assert!(pinned.iter().any(|(_, payload)| *payload == line), "not golden: {line}");
        }
    }
}

#[test]
fn the_document_has_an_example_of_every_command_reply_event_and_eof() {
    let examples: Vec<String> = blocks()
        .into_iter()
        .filter(|block| block.info.starts_with("json "))
        .flat_map(|block| block.lines)
        .collect();
    let files =
        ["requests.txt", "replies.txt", "events.txt", "peer-requests.txt", "peer-replies.txt"];
    for file in files {
        for (_, payload) in golden::lines(file) {
            // For example `{"command":"get"`.
            let first_field = payload.split([',', '}']).next().unwrap();
            let has_example = examples.iter().any(|line| line.starts_with(first_field));
            assert!(has_example, "no example of {first_field}");
        }
    }
    for (name, payload) in golden::lines("ends.txt") {
        assert!(examples.contains(&payload), "no example of {name}");
    }
}

#[test]
fn the_tables_have_a_row_for_every_code_and_number() {
    let document = document();
    let assert_row = |row: String| assert!(document.contains(&format!("\n{row}")), "no row {row}");
    for (code, _) in golden::lines("refusals.txt") {
        assert_row(format!("| `{code}` |"));
    }
    for (name, number) in golden::lines("numbers.txt") {
        if let Some(limit) = name.strip_prefix("limit-") {
            assert_row(format!("| `{limit}` | {number} |"));
        } else if let Some(close) = name.strip_prefix("close-") {
            assert_row(format!("| {number} | {} |", close.replace('-', " ")));
        } else if let Some(kind) = name.strip_prefix("frame-") {
            let (first, rest) = kind.split_at(1);
            assert_row(format!("| {number} | {}{rest} |", first.to_uppercase()));
        }
    }
    let (name, alpn) = &golden::lines("numbers.txt")[0];
    assert!(name == "alpn" && document.contains(&format!("`{alpn}`")));
}

#[test]
fn the_hex_dump_is_the_pinned_conversation() {
    let lengths = ["client", "server"].map(|side| {
        let wire: Vec<u8> = golden::lines("get.txt")
            .into_iter()
            .filter(|(name, _)| name.starts_with(side))
            .flat_map(|(_, hex)| HEXLOWER.decode(hex.as_bytes()).unwrap())
            .collect();
        let mut position = 0;
        for block in blocks().into_iter().filter(|block| block.info == format!("hex {side}")) {
            for line in &block.lines {
                let shown = line.split('#').next().unwrap().trim();
                if let Some(skipped) = shown.strip_prefix("skip ") {
                    position += skipped.parse::<usize>().unwrap();
                    continue;
                }
                for byte in shown.split(' ') {
                    let byte = u8::from_str_radix(byte, 16);
                    assert_eq!(byte, Ok(wire[position]), "at {position}: {line}");
                    position += 1;
                }
            }
        }
        assert_eq!(position, wire.len(), "the {side}'s hex dump is incomplete");
        position
    });
    let [client, server] = lengths;
    let sum = format!("In all, {client} bytes from the client and {server} from the server.");
    assert!(document().contains(&sum), "{sum}");
}
