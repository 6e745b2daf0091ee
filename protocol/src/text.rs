//! Escaping of received text and of file names before they are shown or logged, so that they cannot
//! control a terminal or forge log lines.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

/// The longest error, close reason or other remark of another machine that is shown or logged, in
/// bytes after escaping. A longer one is cut.
pub const REMARK_LIMIT: usize = 1024;

/// Escapes control and bidirectional characters, and leaves all other characters unchanged.
///
/// Escaped are the C0 and C1 controls and DEL (escape sequences, forged lines), the characters of
/// Unicode's bidirectional algorithm (UAX #9), line and paragraph separators, and the characters
/// that are invisible and make two names look alike: Unicode's Default_Ignorable_Code_Point (UAX
/// #44) and the format characters of annotations. Not escaped: the joiners U+200C and U+200D and
/// the variation selectors, which emoji and several scripts need.
#[must_use]
pub fn display_safe(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        push_escaped(&mut safe, character);
    }
    Cow::Owned(safe)
}

/// Escapes an error, a close reason or another remark, and cuts it at [`REMARK_LIMIT`] with a note
/// that says so. Escaping the result again changes nothing.
#[must_use]
pub fn display_remark(text: &str) -> Cow<'_, str> {
    let safe = if text.len() <= REMARK_LIMIT { display_safe(text) } else { Cow::Borrowed(text) };
    if safe.len() <= REMARK_LIMIT {
        return safe;
    }
    let ending = format!("... (cut: {} bytes in all)", text.len());
    let (mut shown, mut escaped) = (String::with_capacity(REMARK_LIMIT), String::new());
    for character in text.chars() {
        escaped.clear();
        push_escaped(&mut escaped, character);
        if shown.len() + escaped.len() + ending.len() > REMARK_LIMIT {
            break;
        }
        shown.push_str(&escaped);
    }
    Cow::Owned(shown + &ending)
}

/// Escapes a local path, whose names may have been chosen by others.
#[must_use]
pub fn display_path(path: &Path) -> String {
    display_safe(&path.to_string_lossy()).into_owned()
}

fn push_escaped(safe: &mut String, character: char) {
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
    fn plain_text_is_not_changed() {
        for plain in ["", "Hello", "naïve 🏹 שלום", "👩‍🚀", "❤\u{fe0f}", "C:\\x"] {
            assert!(matches!(display_safe(plain), Cow::Borrowed(_)), "{plain}");
        }
    }

    #[test]
    fn characters_that_control_a_terminal_are_escaped() {
        assert_eq!(display_safe("a\x1b[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(display_safe("a\nServer: b\r\t"), "a\\nServer: b\\r\\t");
        assert_eq!(display_safe("x\u{202e}gpj.exe"), "x\\u{202e}gpj.exe");
        assert_eq!(display_safe("\u{9b}2J\u{7f}"), "\\u{9b}2J\\u{7f}");
    }

    #[test]
    fn a_long_remark_is_cut_between_characters_with_a_note() {
        for (short, long) in [("x".repeat(REMARK_LIMIT), "x".repeat(REMARK_LIMIT + 1)), {
            let short = "ä".repeat(REMARK_LIMIT / 2);
            (short.clone(), short + "ä")
        }] {
            assert!(matches!(display_remark(&short), Cow::Borrowed(same) if same == short));
            let shown = display_remark(&long);
            let length = shown.len();
            assert!(length <= REMARK_LIMIT && length > REMARK_LIMIT - 8, "{length}");
            assert!(shown.ends_with(&format!("... (cut: {} bytes in all)", long.len())), "{shown}");
            assert_eq!(display_remark(&shown), shown);
        }
        // The limit applies to the escaped length, and no escape is cut in two.
        let shown = display_remark("a\u{202e}").into_owned();
        assert_eq!(shown, "a\\u{202e}");
        let shown = display_remark(&"\u{202e}".repeat(300)).into_owned();
        let (escapes, _) = shown.split_once("... (cut: 900 bytes in all)").unwrap();
        assert!(shown.len() <= REMARK_LIMIT, "{shown}");
        assert!(escapes.replace("\\u{202e}", "").is_empty(), "{shown}");
        assert!(display_remark(&"\x1b[2J\n".repeat(20_000)).len() <= REMARK_LIMIT);
    }

    #[test]
    fn a_path_of_any_bytes_is_escaped() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;
        assert_eq!(display_path(Path::new("/a/x\u{202e}gpj.exe")), "/a/x\\u{202e}gpj.exe");
        assert_eq!(display_path(Path::new(OsStr::from_bytes(b"a\xff\n"))), "a\u{fffd}\\n");
    }

    #[test]
    fn invisible_characters_are_escaped() {
        for hidden in ['\u{ad}', '\u{115f}', '\u{200b}', '\u{3164}', '\u{feff}', '\u{e0041}'] {
            let escaped = format!("R\\u{{{:x}}}on", u32::from(hidden));
            assert_eq!(display_safe(&format!("R{hidden}on")), escaped);
        }
    }
}
