//! Showing what another machine sent, and names of files, whoever gave them: they must not drive a terminal or a
//! log.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

/// Bytes of the longest error, reason or other remark of another machine that is shown or logged, escaped; a
/// longer one is cut.
pub const REMARK: usize = 1024;

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
        push_escaped(&mut safe, character);
    }
    Cow::Owned(safe)
}

/// The same of an error, a reason or another remark, which is cut where it is longer than [`REMARK`], and then
/// says so. Showing it once more changes nothing.
#[must_use]
pub fn display_remark(text: &str) -> Cow<'_, str> {
    let safe = if text.len() <= REMARK { display_safe(text) } else { Cow::Borrowed(text) };
    if safe.len() <= REMARK {
        return safe;
    }
    let ending = format!("... (cut: {} bytes in all)", text.len());
    let (mut shown, mut escaped) = (String::with_capacity(REMARK), String::new());
    for character in text.chars() {
        escaped.clear();
        push_escaped(&mut escaped, character);
        if shown.len() + escaped.len() + ending.len() > REMARK {
            break;
        }
        shown.push_str(&escaped);
    }
    Cow::Owned(shown + &ending)
}

/// A path of this machine, escaped like everything else: its names may come from anywhere.
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
    fn a_long_remark_is_cut_between_characters_and_says_so() {
        for (short, long) in [("x".repeat(REMARK), "x".repeat(REMARK + 1)), {
            let short = "ä".repeat(REMARK / 2);
            (short.clone(), short + "ä")
        }] {
            assert!(matches!(display_remark(&short), Cow::Borrowed(same) if same == short));
            let shown = display_remark(&long);
            assert!(shown.len() <= REMARK && shown.len() > REMARK - 8, "{}", shown.len());
            assert!(shown.ends_with(&format!("... (cut: {} bytes in all)", long.len())), "{shown}");
            assert_eq!(display_remark(&shown), shown);
        }
        // What grows by being escaped counts as it is shown, and no escape is cut in two.
        let shown = display_remark("a\u{202e}").into_owned();
        assert_eq!(shown, "a\\u{202e}");
        let shown = display_remark(&"\u{202e}".repeat(300)).into_owned();
        let (escapes, _) = shown.split_once("... (cut: 900 bytes in all)").unwrap();
        assert!(shown.len() <= REMARK && escapes.replace("\\u{202e}", "").is_empty(), "{shown}");
        assert!(display_remark(&"\x1b[2J\n".repeat(20_000)).len() <= REMARK);
    }

    #[test]
    fn a_path_is_shown_escaped_whatever_its_bytes() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;
        assert_eq!(display_path(Path::new("/a/x\u{202e}gpj.exe")), "/a/x\\u{202e}gpj.exe");
        assert_eq!(display_path(Path::new(OsStr::from_bytes(b"a\xff\n"))), "a\u{fffd}\\n");
    }

    #[test]
    fn what_leaves_no_mark_is_escaped() {
        for hidden in ['\u{ad}', '\u{115f}', '\u{200b}', '\u{3164}', '\u{feff}', '\u{e0041}'] {
            let escaped = format!("R\\u{{{:x}}}on", u32::from(hidden));
            assert_eq!(display_safe(&format!("R{hidden}on")), escaped);
        }
    }
}
