//! A line as words, as a shell would see them: quotes, and a backslash before any character.
//!
//! Not a crate's splitter: it must tell where the last, unfinished word begins, and `#` is a
//! character like any other.

/// A line that ends inside a quote, or in a backslash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IncompleteLine;

/// The word under the cursor, and those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastWord {
    /// The words before, whole.
    pub(super) before: Vec<String>,
    /// Where it begins, in bytes; at a quote where it is quoted.
    pub(super) start: usize,
    /// What it means so far.
    pub(super) value: String,
    /// The quote it is in.
    pub(super) quote: Option<char>,
}

/// The words of a line.
pub(super) fn split(line: &str) -> Result<Vec<String>, IncompleteLine> {
    let scan = WordScanner::of(line);
    if scan.quote.is_some() || scan.escaped {
        return Err(IncompleteLine);
    }
    let mut words = scan.words;
    words.extend(scan.word.map(|(_, value)| value));
    Ok(words)
}

/// The word that a line ends in; empty where it ends between words.
pub(super) fn last(line: &str) -> LastWord {
    let scan = WordScanner::of(line);
    let (start, value) = scan.word.unwrap_or((line.len(), String::new()));
    LastWord { before: scan.words, start, value, quote: scan.quote }
}

/// Writes a word so that it is read as it is, within the quote it began with; that quote stays open.
pub(super) fn quoted(value: &str, quote: Option<char>) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.extend(quote);
    for character in value.chars() {
        match quote {
            // Nothing is special in here but the end.
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
    /// The word that is being read: where it begins, and what it means so far.
    word: Option<(usize, String)>,
    quote: Option<char>,
    escaped: bool,
}

impl WordScanner {
    fn of(line: &str) -> Self {
        let mut scan = Self::default();
        for (index, character) in line.char_indices() {
            scan.read(index, character);
        }
        scan
    }

    fn read(&mut self, index: usize, character: char) {
        if self.escaped {
            self.escaped = false;
            // In double quotes a backslash is itself before what needs none.
            if self.quote == Some('"') && !matches!(character, '"' | '\\') {
                self.push(index, '\\');
            }
            return self.push(index, character);
        }
        match (self.quote, character) {
            (Some(quote), _) if character == quote => self.quote = None,
            (Some('\''), _) => self.push(index, character),
            (_, '\\') => {
                self.escaped = true;
                self.begin(index);
            }
            (Some(_), _) => self.push(index, character),
            (None, '\'' | '"') => {
                self.quote = Some(character);
                self.begin(index);
            }
            (None, _) if character.is_whitespace() => {
                self.words.extend(self.word.take().map(|(_, value)| value));
            }
            (None, _) => self.push(index, character),
        }
    }

    fn begin(&mut self, index: usize) -> &mut String {
        &mut self.word.get_or_insert_with(|| (index, String::new())).1
    }

    fn push(&mut self, index: usize, character: char) {
        self.begin(index).push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_a_shell_would_see() {
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
    fn the_last_word_is_the_one_being_typed() {
        let word = last("get a \"with sp");
        assert_eq!(word.before, ["get", "a"]);
        assert_eq!((word.start, word.value.as_str(), word.quote), (6, "with sp", Some('"')));
        let none = last("get ");
        assert_eq!((none.start, none.value.as_str(), none.quote), (4, "", None));
    }

    #[test]
    fn what_is_quoted_is_read_as_it_was() {
        for value in ["a", "with space", "it's", "say \"x\"", "a\\b", "#1"] {
            assert_eq!(split(&quoted(value, None)).unwrap(), [value]);
            for quote in ['"', '\''] {
                let mut text = quoted(value, Some(quote));
                text.push(quote);
                assert_eq!(split(&text).unwrap(), [value], "{text}");
            }
        }
    }
}
