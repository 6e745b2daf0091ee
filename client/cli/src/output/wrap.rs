//! Wraps texts at the width of a terminal. Pure: the width is an argument.

use std::borrow::Cow;

use textwrap::{Options, WordSplitter};

/// Begins the further lines of a wrapped line, so that it can be told from the next one.
const INDENT: &str = "  ";

/// Narrower terminals wrap by themselves.
const MIN_WIDTH: usize = 20;

/// Wraps each line of a message; `None` is no terminal, and wraps nothing.
pub(super) fn message(text: String, width: Option<usize>) -> String {
    let Some(width) = width.filter(|width| *width >= MIN_WIDTH) else { return text };
    let lines = text.lines().flat_map(|line| fill(line, width, "", INDENT));
    lines.collect::<Vec<_>>().join("\n")
}

/// Wraps a paragraph, whose lines begin as given. Words longer than a line stay whole.
#[must_use]
pub fn fill(text: &str, width: usize, first: &str, next: &str) -> Vec<String> {
    let options = Options::new(width)
        .initial_indent(first)
        .subsequent_indent(next)
        .word_splitter(WordSplitter::NoHyphenation)
        .break_words(false);
    textwrap::wrap(text, options).into_iter().map(Cow::into_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERROR: &str = "error: cannot read certs/a-rather-long-name-of-a-certificate.pem: No such file\n\
                         hint: make one with scripts/generate-certs";

    #[test]
    fn messages_wrap_between_words_and_keep_their_lines() {
        let wrapped = message(ERROR.to_owned(), Some(40));
        let lines: Vec<_> = wrapped.lines().collect();
        assert_eq!(
            lines,
            [
                "error: cannot read",
                "  certs/a-rather-long-name-of-a-certificate.pem:",
                "  No such file",
                "hint: make one with",
                "  scripts/generate-certs",
            ]
        );
        assert_eq!(message(ERROR.to_owned(), Some(80)), ERROR);
    }

    #[test]
    fn nothing_wraps_off_a_terminal_or_on_a_tiny_one() {
        for width in [None, Some(0), Some(10)] {
            assert_eq!(message(ERROR.to_owned(), width), ERROR);
        }
    }

    #[test]
    fn wide_characters_count_as_two_columns() {
        let wrapped = message(format!("error: {} end", "日本".repeat(6)), Some(32));
        assert_eq!(wrapped.lines().count(), 2, "{wrapped}");
    }
}
