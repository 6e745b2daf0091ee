//! Showing what another machine sent: names, messages and errors must not drive a terminal or a log.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with control and bidirectional characters escaped, everything else as it is.
///
/// Escaped are the C0 and C1 controls and DEL (escape sequences, forged lines), the characters of
/// Unicode's bidirectional algorithm (UAX #9), line and paragraph separators, and the characters that
/// leave no mark and let two names look alike: Unicode's Default_Ignorable_Code_Point (UAX #44) and
/// the format characters of annotations. Left as they are: the joiners U+200C and U+200D and
/// the variation selectors, for emoji and several scripts cannot be written without them.
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
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_left_alone() {
        for plain in ["", "Hello", "naïve 🏹 שלום", "👩‍🚀", "❤\u{fe0f}", "C:\\x"] {
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

    #[test]
    fn what_leaves_no_mark_is_escaped() {
        for hidden in ['\u{ad}', '\u{115f}', '\u{200b}', '\u{3164}', '\u{feff}', '\u{e0041}'] {
            let escaped = format!("R\\u{{{:x}}}on", u32::from(hidden));
            assert_eq!(display_safe(&format!("R{hidden}on")), escaped);
        }
    }
}
