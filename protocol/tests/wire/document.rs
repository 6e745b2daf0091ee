//! docs/protocol.md tells the truth: its examples are lines of the golden files and decode, its numbers
//! and codes are the code's, its hex is the pinned conversation, and nothing is left out.

use std::path::Path;

use data_encoding::HEXLOWER;
use quiver_protocol::{
    ContentEnd, EofPayload, Event, ListEnd, MadeFolder, PlainEnd, Received, Refusal, Reply, Request,
};

use crate::lines::golden;

/// A fenced block: what follows the backticks, and its lines.
struct Block {
    info: String,
    lines: Vec<String>,
}

fn text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    std::fs::read_to_string(path).unwrap()
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in text().lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some(Block { info: info.to_owned(), lines: Vec::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    blocks
}

/// The golden file with examples of this kind.
fn file_of(kind: &str) -> &'static str {
    match kind {
        "request" => "requests.txt",
        "reply" => "replies.txt",
        "event" => "events.txt",
        "error" => "refusals.txt",
        "eof" | "eof-list" | "eof-make_folder" | "eof-content" | "received" => "ends.txt",
        unknown => panic!("docs/protocol.md has a block of kind {unknown:?}"),
    }
}

fn decodes(kind: &str, payload: &[u8]) -> bool {
    match kind {
        "request" => Request::decode(payload).is_ok(),
        "reply" => Reply::decode(payload).is_ok(),
        "event" => matches!(Event::decode(payload), Ok(event) if event != Event::Unknown),
        "error" => Refusal::decode(payload).is_ok(),
        "eof" => PlainEnd::decode(payload).is_ok(),
        "eof-list" => ListEnd::decode(payload).is_ok(),
        "eof-make_folder" => MadeFolder::decode(payload).is_ok(),
        "eof-content" => ContentEnd::decode(payload).is_ok(),
        "received" => Received::decode(payload).is_ok(),
        unknown => panic!("docs/protocol.md has a block of kind {unknown:?}"),
    }
}

#[test]
fn every_example_is_a_golden_line_and_decodes() {
    for block in blocks() {
        let Some(kind) = block.info.strip_prefix("json") else {
            assert!(block.info.is_empty() || block.info.starts_with("hex "), "{}", block.info);
            continue;
        };
        let kind = kind.trim();
        assert!(!block.lines.is_empty());
        for line in block.lines {
            assert!(decodes(kind, line.as_bytes()), "no {kind}: {line}");
            let golden = golden(file_of(kind));
            assert!(golden.iter().any(|(_, payload)| *payload == line), "not golden: {line}");
        }
    }
}

#[test]
fn every_command_reply_event_and_end_has_an_example() {
    let shown: Vec<String> = blocks()
        .into_iter()
        .filter(|block| block.info.starts_with("json "))
        .flat_map(|block| block.lines)
        .collect();
    for file in ["requests.txt", "replies.txt", "events.txt"] {
        for (_, payload) in golden(file) {
            // `{"command":"get"` and the like.
            let head = payload.split([',', '}']).next().unwrap();
            assert!(shown.iter().any(|line| line.starts_with(head)), "no example of {head}");
        }
    }
    for (name, payload) in golden("ends.txt") {
        assert!(shown.contains(&payload), "no example of {name}");
    }
}

#[test]
fn tables_have_every_code_and_number() {
    let text = text();
    let has_row = |row: String| assert!(text.contains(&format!("\n{row}")), "no row {row}");
    for (code, _) in golden("refusals.txt") {
        has_row(format!("| `{code}` |"));
    }
    for (name, number) in golden("numbers.txt") {
        if let Some(limit) = name.strip_prefix("limit-") {
            has_row(format!("| `{limit}` | {number} |"));
        } else if let Some(close) = name.strip_prefix("close-") {
            has_row(format!("| {number} | {} |", close.replace('-', " ")));
        } else if let Some(kind) = name.strip_prefix("frame-") {
            let (first, rest) = kind.split_at(1);
            has_row(format!("| {number} | {}{rest} |", first.to_uppercase()));
        }
    }
    let (name, alpn) = &golden("numbers.txt")[0];
    assert!(name == "alpn" && text.contains(&format!("`{alpn}`")));
}

#[test]
fn the_hex_is_the_pinned_conversation() {
    let lengths = ["client", "server"].map(|side| {
        let wire: Vec<u8> = golden("get.txt")
            .into_iter()
            .filter(|(name, _)| name.starts_with(side))
            .flat_map(|(_, hex)| HEXLOWER.decode(hex.as_bytes()).unwrap())
            .collect();
        let mut place = 0;
        for block in blocks().into_iter().filter(|block| block.info == format!("hex {side}")) {
            for line in &block.lines {
                let shown = line.split('#').next().unwrap().trim();
                if let Some(skipped) = shown.strip_prefix("skip ") {
                    place += skipped.parse::<usize>().unwrap();
                    continue;
                }
                for byte in shown.split(' ') {
                    assert_eq!(u8::from_str_radix(byte, 16), Ok(wire[place]), "at {place}: {line}");
                    place += 1;
                }
            }
        }
        assert_eq!(place, wire.len(), "the {side}'s hex is not whole");
        place
    });
    let [client, server] = lengths;
    let sum = format!("In all, {client} bytes from the client and {server} from the server.");
    assert!(text().contains(&sum), "{sum}");
}
