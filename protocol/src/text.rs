//! Showing what another machine sent: names, messages and errors must not drive a terminal or a log.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with control and bidirectional characters escaped, everything else as it is.
///
/// Escaped are the C0 and C1 controls and DEL (escape sequences, forged lines), the characters of
/// Unicode's bidirectional algorithm (UAX #9), line and paragraph separators, and the invisible ones
/// that let two names look alike.
#[must_use]
pub fn display_safe(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            hidden if is_unsafe(hidden) => {
                // Writing to a String cannot fail.
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(hidden));
            }
            plain => safe.push(plain),
        }
    }
    Cow::Owned(safe)
}

fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_left_alone() {
        for plain in ["", "Hello", "naïve 🏹 שלום", "👩‍🚀", "C:\\x"] {
            assert!(matches!(display_safe(plain), Cow::Borrowed(_)), "{plain}");
        }
    }

    #[test]
    fn what_drives_a_terminal_is_escaped() {
        assert_eq!(display_safe("a\x1b[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(display_safe("a\nServer: b\r\t"), "a\\nServer: b\\r\\t");
        assert_eq!(display_safe("x\u{202e}gpj.exe"), "x\\u{202e}gpj.exe");
        assert_eq!(display_safe("\u{9b}2J\u{7f}"), "\\u{9b}2J\\u{7f}");
    }
}
