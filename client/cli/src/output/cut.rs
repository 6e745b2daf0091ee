//! Texts cut to a number of columns, between characters. Pure.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// A text in at most `width` columns: of a longer one, the beginning and the end.
#[must_use]
pub fn cut_middle(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let Some(kept) = width.checked_sub(1) else { return String::new() };
    let start = prefix(text.graphemes(true), kept / 2);
    let end = prefix(text.graphemes(true).rev(), kept - kept / 2);
    let start: String = text.graphemes(true).take(start).collect();
    let skipped = text.graphemes(true).count().saturating_sub(end);
    let end: String = text.graphemes(true).skip(skipped).collect();
    format!("{start}…{end}")
}

/// A text in at most `width` columns: of a longer one, the beginning.
#[must_use]
pub fn cut_end(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let Some(kept) = width.checked_sub(1) else { return String::new() };
    let count = prefix(text.graphemes(true), kept);
    text.graphemes(true).take(count).chain(["…"]).collect()
}

/// How many of these characters fit into `width` columns.
fn prefix<'a>(characters: impl Iterator<Item = &'a str>, width: usize) -> usize {
    let mut used = 0;
    characters
        .take_while(|character| {
            used += character.width();
            used <= width
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_in_the_middle_between_characters() {
        assert_eq!(cut_middle("the long name.txt", 9), "the ….txt");
        assert_eq!(cut_middle("short", 5), "short");
        assert_eq!(cut_middle("写真写真写真", 7), "写…真");
        assert_eq!(cut_middle("e\u{301}e\u{301}e\u{301}e\u{301}", 3), "e\u{301}…e\u{301}");
        assert_eq!(cut_middle("abc", 0), "");
    }
}
