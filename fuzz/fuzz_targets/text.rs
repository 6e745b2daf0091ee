//! Fuzzes the escaping of text: the result is safe to show, and escaping it again changes nothing.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use quiver_protocol::text::display_safe;

/// Control characters, bidirectional marks and separators, and some of the invisible characters.
fn is_unsafe(character: char) -> bool {
    let code = u32::from(character);
    code < 0x20
        || (0x7f..0xa0).contains(&code)
        || [0xad, 0x61c, 0x115f, 0x180e, 0x200b, 0x200e, 0x200f, 0x3164, 0xfeff].contains(&code)
        || (0x2028..=0x202e).contains(&code)
        || (0x2060..=0x206f).contains(&code)
        || (0xe0000..=0xe007f).contains(&code)
}

/// Reverses the escaping; only for a text without backslashes.
fn unescape(safe: &str) -> String {
    let mut text = String::new();
    let mut rest = safe;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        rest = match escape.split_at(1) {
            ("n", rest) => {
                text.push('\n');
                rest
            }
            ("r", rest) => {
                text.push('\r');
                rest
            }
            ("t", rest) => {
                text.push('\t');
                rest
            }
            ("u", rest) => {
                let (code, rest) = rest[1..].split_once('}').expect("an escape ends");
                let code = u32::from_str_radix(code, 16).expect("an escape is a number");
                text.push(char::from_u32(code).expect("an escape is a character"));
                rest
            }
            (other, _) => panic!("no escape starts with {other}"),
        };
    }
    text + rest
}

/// Characters that are rare in random UTF-8: both ends of every escaped range, and safe neighbours.
const RARE: &str = "\0\u{1b}\u{7f}\u{80}\u{9f}\u{a0}\u{ad}\u{61b}\u{61c}\u{115f}\u{1160}\u{180d}\u{180e}\
    \u{200a}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2010}\u{2027}\u{2028}\u{2029}\u{202a}\u{202d}\u{202e}\u{202f}\
    \u{205f}\u{2060}\u{2066}\u{2069}\u{206f}\u{2070}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{fffc}\u{1d173}\u{e0001}\
    \u{e007f}\u{e0100}\u{10ffff}é漢🏹{}u";

/// Text with ASCII bytes unchanged, and one of the rare characters for every other byte.
fn text_with_rare_characters(bytes: &[u8]) -> String {
    let characters: Vec<char> = RARE.chars().collect();
    let to_character = |byte: &u8| match byte.checked_sub(0x80) {
        Some(index) => characters[usize::from(index) % characters.len()],
        None => char::from(*byte),
    };
    bytes.iter().map(to_character).collect()
}

fn check(text: &str) {
    let safe = display_safe(text);
    assert!(!safe.chars().any(is_unsafe), "{text:?} became {safe:?}");
    assert!(matches!(display_safe(&safe), Cow::Borrowed(same) if same == safe), "not idempotent");
    assert_eq!(matches!(safe, Cow::Borrowed(_)), safe == text, "copied without need");
    if !text.contains('\\') {
        assert_eq!(unescape(&safe), text, "the escaping lost information");
    }
}

fuzz_target!(|bytes: &[u8]| {
    check(&String::from_utf8_lossy(bytes));
    check(&text_with_rare_characters(bytes));
});
