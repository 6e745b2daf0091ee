//! Names: what passes matches `[A-Za-z0-9][A-Za-z0-9._-]{0,31}`, and what matches passes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quiver_protocol::ClientName;

const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fuzz_target!(|text: &str| {
    let good = text.chars().enumerate().all(|(place, character)| {
        place < 32 && (LETTERS.contains(character) || place > 0 && "._-".contains(character))
    });
    let parsed = ClientName::parse(text);
    assert_eq!(parsed.is_ok(), good && !text.is_empty(), "{text:?}");
    let Ok(name) = parsed else { return };

    assert_eq!(name.as_str(), text, "never repaired");
    assert_eq!(name.to_string(), text);
    let other_case = ClientName::parse(&text.to_ascii_uppercase()).expect("case breaks no rule");
    assert_eq!(name.key(), other_case.key());
    assert_eq!(ClientName::parse(&name.key()).expect("a key is a name").key(), name.key());
});
