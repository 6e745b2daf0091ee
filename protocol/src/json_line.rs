//! One line of JSON for scripts, whose output a terminal may show.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Serialize;

use crate::text::display_safe;

/// An object as JSON, without a line break. Characters that a terminal may interpret are written as `\u` escapes,
/// which JSON parsers read as the same characters.
#[must_use]
pub fn json_line<T: Serialize>(object: &T) -> String {
    #[expect(clippy::expect_used, reason = "these types have string keys and no failing impl")]
    let text = serde_json::to_string(object).expect("a type of ours always has a JSON form");
    escape(&text)
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        let mut bytes = [0; 4];
        let text = character.encode_utf8(&mut bytes);
        if matches!(display_safe(text), Cow::Borrowed(_)) {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    }
    escaped
}
