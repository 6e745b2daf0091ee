//! Splits a line into words as a shell does, with quotes and backslashes.
//!
//! No crate is used, because completion needs the position of the last, unfinished word, and `#` must not start a
//! comment.

/// The error for a line that ends inside a quote or after a backslash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IncompleteLine;

/// The last word of a line, which completion extends, and the words before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastWord {
    /// The complete words before it.
    pub(super) before: Vec<String>,
    /// Where it begins, in bytes, including an opening quote.
    pub(super) start: usize,
    /// Its value so far, without quotes and backslashes.
    pub(super) value: String,
    /// The quote that is still open.
    pub(super) quote: Option<char>,
}

/// Splits a line into words.
pub(super) fn split(line: &str) -> Result<Vec<String>, IncompleteLine> {
    let scan = WordScanner::scan(line);
    if scan.quote.is_some() || scan.is_escaped {
        return Err(IncompleteLine);
    }
    let mut words = scan.words;
    words.extend(scan.word.map(|(_, value)| value));
    Ok(words)
}

/// Returns the last word of a line; it is empty if the line ends between words.
pub(super) fn last_word(line: &str) -> LastWord {
    let scan = WordScanner::scan(line);
    let (start, value) = scan.word.unwrap_or((line.len(), String::new()));
    LastWord { before: scan.words, start, value, quote: scan.quote }
}

/// Quotes `value` so that [`split`] reads it back. With `quote`, the text begins with that quote and leaves it open.
pub(super) fn quote(value: &str, open_quote: Option<char>) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.extend(open_quote);
    for character in value.chars() {
        match open_quote {
            // In single quotes only the closing quote is special.
            Some('\'') if character == '\'' => text.push_str("'\\''"),
            Some('"') if matches!(character, '"' | '\\') => text.extend(['\\', character]),
            None if character.is_whitespace() || matches!(character, '\'' | '"' | '\\') => {
                text.extend(['\\', character]);
            }
            _ => text.push(character),
        }
    }
    text
}

#[derive(Default)]
struct WordScanner {
    words: Vec<String>,
    /// The current word: where it begins, and its value so far.
    word: Option<(usize, String)>,
    quote: Option<char>,
    is_escaped: bool,
}

impl WordScanner {
    fn scan(line: &str) -> Self {
        let mut scan = Self::default();
        for (index, character) in line.char_indices() {
            scan.read(index, character);
        }
        scan
    }

    fn read(&mut self, index: usize, character: char) {
        if self.is_escaped {
            self.is_escaped = false;
            // In double quotes a backslash is literal unless a quote or backslash follows.
            if self.quote == Some('"') && !matches!(character, '"' | '\\') {
                self.push(index, '\\');
            }
            return self.push(index, character);
        }
        match (self.quote, character) {
            (Some(quote), _) if character == quote => self.quote = None,
            (Some('\''), _) => self.push(index, character),
            (_, '\\') => {
                self.is_escaped = true;
                self.start_word(index);
            }
            (Some(_), _) => self.push(index, character),
            (None, '\'' | '"') => {
                self.quote = Some(character);
                self.start_word(index);
            }
            (None, _) if character.is_whitespace() => {
                self.words.extend(self.word.take().map(|(_, value)| value));
            }
            (None, _) => self.push(index, character),
        }
    }

    /// Starts a word at `index`, unless one is being read.
    fn start_word(&mut self, index: usize) -> &mut String {
        &mut self.word.get_or_insert_with(|| (index, String::new())).1
    }

    fn push(&mut self, index: usize, character: char) {
        self.start_word(index).push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_split_into_words_as_in_a_shell() {
        for (line, words) in [
            ("", &[] as &[&str]),
            ("  get \t a  ", &["get", "a"]),
            (r#"get "with space.txt" 'it"s' b\ c"#, &["get", "with space.txt", "it\"s", "b c"]),
            (r#"a"b"'c'd"#, &["abcd"]),
            (r#""" ''"#, &["", ""]),
            ("get #1.txt # all", &["get", "#1.txt", "#", "all"]),
            (r#""a\"b\\c\d""#, &[r#"a"b\c\d"#]),
            (r"'a\b'", &[r"a\b"]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        for line in ["get \"a", "it's", "a\\"] {
            assert_eq!(split(line), Err(IncompleteLine), "{line}");
        }
    }

    #[test]
    fn the_last_word_is_empty_after_a_space() {
        let word = last_word("get a \"with sp");
        assert_eq!(word.before, ["get", "a"]);
        assert_eq!((word.start, word.value.as_str(), word.quote), (6, "with sp", Some('"')));
        let none = last_word("get ");
        assert_eq!((none.start, none.value.as_str(), none.quote), (4, "", None));
    }

    #[test]
    fn quoted_words_split_back_into_their_value() {
        for value in ["a", "with space", "it's", "say \"x\"", "a\\b", "#1"] {
            assert_eq!(split(&quote(value, None)).unwrap(), [value]);
            for open_quote in ['"', '\''] {
                let mut text = quote(value, Some(open_quote));
                text.push(open_quote);
                assert_eq!(split(&text).unwrap(), [value], "{text}");
            }
        }
    }
}
