//! Splits a line into words as a shell does, with quotes and backslashes.
//!
//! No crate is used, because completion needs the position of the last, unfinished word, and `#` must not start a
//! comment.

/// The error for a line that ends inside a quote or after a backslash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IncompleteLine;

/// A complete word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// The word without quotes and backslashes.
    pub(super) value: String,
    /// The value as a pattern for names: characters that were quoted match themselves.
    pub(super) pattern: String,
    /// Whether it has wildcards that are not quoted.
    pub(super) has_wildcards: bool,
    /// Whether it begins with `~`, not quoted.
    pub(super) has_tilde: bool,
}

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
    /// Whether it begins with `~`, not quoted.
    pub(super) has_tilde: bool,
}

/// Splits a line into words.
pub(super) fn split(line: &str) -> Result<Vec<Word>, IncompleteLine> {
    let scan = WordScanner::scan(line);
    if scan.quote.is_some() || scan.is_escaped {
        return Err(IncompleteLine);
    }
    let mut words = scan.words;
    words.extend(scan.word.map(|(_, word)| word));
    Ok(words)
}

/// Returns the last word of a line; it is empty if the line ends between words.
pub(super) fn last_word(line: &str) -> LastWord {
    let scan = WordScanner::scan(line);
    let (start, word) = scan.word.unwrap_or((line.len(), Word::default()));
    let before = scan.words.into_iter().map(|word| word.value).collect();
    let (value, has_tilde) = (word.value, word.has_tilde);
    LastWord { before, start, value, quote: scan.quote, has_tilde }
}

/// Quotes `value` so that [`split`] reads it back as a literal word. With `quote`, the text begins with that quote and leaves it open.
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
            None if is_wildcard(character) || (character == '~' && text.is_empty()) => {
                text.extend(['\\', character]);
            }
            _ => text.push(character),
        }
    }
    text
}

impl Word {
    fn push(&mut self, character: char, is_quoted: bool) {
        self.has_tilde |= character == '~' && !is_quoted && self.value.is_empty();
        self.has_wildcards |= is_wildcard(character) && !is_quoted;
        self.value.push(character);
        if is_quoted && is_wildcard(character) {
            self.pattern.extend(['[', character, ']']);
        } else {
            self.pattern.push(character);
        }
    }
}

fn is_wildcard(character: char) -> bool {
    matches!(character, '*' | '?' | '[')
}

#[derive(Default)]
struct WordScanner {
    words: Vec<Word>,
    /// The current word and where it begins.
    word: Option<(usize, Word)>,
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
                self.push(index, '\\', true);
            }
            return self.push(index, character, true);
        }
        match (self.quote, character) {
            (Some(quote), _) if character == quote => self.quote = None,
            (Some('\''), _) => self.push(index, character, true),
            (_, '\\') => {
                self.is_escaped = true;
                self.start_word(index);
            }
            (Some(_), _) => self.push(index, character, true),
            (None, '\'' | '"') => {
                self.quote = Some(character);
                self.start_word(index);
            }
            (None, _) if character.is_whitespace() => {
                self.words.extend(self.word.take().map(|(_, word)| word));
            }
            (None, _) => self.push(index, character, false),
        }
    }

    /// Starts a word at `index`, unless one is being read.
    fn start_word(&mut self, index: usize) -> &mut Word {
        &mut self.word.get_or_insert_with(|| (index, Word::default())).1
    }

    fn push(&mut self, index: usize, character: char, is_quoted: bool) {
        self.start_word(index).push(character, is_quoted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(line: &str) -> Vec<String> {
        split(line).unwrap().into_iter().map(|word| word.value).collect()
    }

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
            assert_eq!(values(line), words, "{line}");
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
        for value in ["a", "with space", "it's", "say \"x\"", "a\\b", "#1", "x*y", "~a", "a~"] {
            assert_eq!(values(&quote(value, None)), [value]);
            for open_quote in ['"', '\''] {
                let mut text = quote(value, Some(open_quote));
                text.push(open_quote);
                assert_eq!(values(&text), [value], "{text}");
            }
        }
    }

    #[test]
    fn quoted_wildcards_and_tildes_are_literal() {
        let word = |line: &str| split(line).unwrap().remove(0);
        assert!(word("*.txt").has_wildcards && word("\"a b\"*").has_wildcards);
        for quoted in ["\"*.txt\"", "'a?'", "\\*", "plain", "a\\[1]"] {
            assert!(!word(quoted).has_wildcards, "{quoted}");
        }
        assert_eq!(word("\"a*\"?").pattern, "a[*]?");
        assert_eq!(quote("x*", None), "x\\*");
        assert!(word("~/a").has_tilde && word("~").has_tilde);
        for other in ["a~", "\"~/a\"", "\\~", "./~"] {
            assert!(!word(other).has_tilde, "{other}");
        }
    }
}
