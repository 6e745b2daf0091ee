//! Fuzzes client names: exactly those that match `[A-Za-z0-9][A-Za-z0-9._-]{0,31}` are accepted.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quiver_protocol::ClientName;

const LETTERS_AND_DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fuzz_target!(|text: &str| {
    let has_valid_characters = text.chars().enumerate().all(|(index, character)| {
        index < 32
            && (LETTERS_AND_DIGITS.contains(character) || index > 0 && "._-".contains(character))
    });
    let parsed = ClientName::parse(text);
    assert_eq!(parsed.is_ok(), has_valid_characters && !text.is_empty(), "{text:?}");
    let Ok(name) = parsed else { return };

    assert_eq!(name.as_str(), text, "the name was changed");
    assert_eq!(name.to_string(), text);
    let other_case =
        ClientName::parse(&text.to_ascii_uppercase()).expect("a name in upper case is valid");
    assert_eq!(name.key(), other_case.key());
    assert_eq!(ClientName::parse(&name.key()).expect("a key is a valid name").key(), name.key());
});
