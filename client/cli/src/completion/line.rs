//! The words of a command line, split as shells do: quotes, and backslashes. Expands nothing: what a person typed as a variable
//! or as a command stays text.

/// The words before the cursor, without quotes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CommandLine {
    /// The complete words; the first one is the program.
    pub(super) words: Vec<String>,
    /// The word at the cursor, up to the cursor.
    pub(super) current: String,
}

/// The word at the cursor as it was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TypedWord {
    /// The quote that is still open.
    pub(super) quote: Option<char>,
    /// The part of its value that the shell leaves as it is.
    pub(super) kept: String,
}

impl CommandLine {
    /// The words after the program that are no flags.
    pub(super) fn arguments(&self) -> impl Iterator<Item = &str> {
        self.words.iter().skip(1).map(String::as_str).filter(|word| !word.starts_with('-'))
    }

    /// The value of a flag in the complete words: `--flag VALUE` or `--flag=VALUE`.
    pub(super) fn flag(&self, flag: &str) -> Option<&str> {
        let mut words = self.words.iter();
        let mut value = None;
        while let Some(word) = words.next() {
            let rest = word.strip_prefix(flag);
            if rest == Some("") {
                value = words.next().map(String::as_str);
            } else if let Some(given) = rest.and_then(|rest| rest.strip_prefix('=')) {
                value = Some(given);
            }
        }
        value
    }
}

/// Splits a line up to the cursor. Characters of `breaks` end what the shell replaces: bash replaces only the part after the
/// last of them.
pub(super) fn split(line: &str, breaks: &str) -> (CommandLine, TypedWord) {
    let mut scan = Scan::default();
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        if scan.read(character, next, breaks) {
            characters.next();
        }
    }
    let kept = match scan.quote {
        // All of the text in the quotes is replaced.
        Some(_) => scan.before_quote,
        None => scan.kept,
    };
    let line = CommandLine { words: scan.words, current: scan.word.unwrap_or_default() };
    (line, TypedWord { quote: scan.quote, kept })
}

#[derive(Default)]
struct Scan {
    words: Vec<String>,
    word: Option<String>,
    quote: Option<char>,
    /// The value of the word up to the last break.
    kept: String,
    /// The value of the word up to the last opening quote.
    before_quote: String,
}

impl Scan {
    /// Reads a character. Returns whether it has read the next one too, after a backslash.
    fn read(&mut self, character: char, next: Option<char>, breaks: &str) -> bool {
        match (self.quote, character) {
            (Some(quote), _) if character == quote => self.quote = None,
            (None, '\'' | '"') => {
                self.before_quote = self.word.get_or_insert_default().clone();
                self.quote = Some(character);
            }
            (Some('"'), '\\') => {
                if let Some(escaped) = next.filter(|next| matches!(next, '$' | '`' | '"' | '\\')) {
                    self.push(escaped);
                    return true;
                }
                self.push('\\');
            }
            (None, '\\') => {
                self.word.get_or_insert_default();
                if let Some(escaped) = next {
                    self.push(escaped);
                }
                return true;
            }
            (None, _) if character.is_whitespace() => {
                self.words.extend(self.word.take());
                (self.kept, self.before_quote) = (String::new(), String::new());
            }
            (None, _) if breaks.contains(character) => {
                self.push(character);
                self.kept = self.word.clone().unwrap_or_default();
            }
            _ => self.push(character),
        }
        false
    }

    fn push(&mut self, character: char) {
        self.word.get_or_insert_default().push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKS: &str = " \t\n\"'><=;|&(:";

    fn split_line(line: &str) -> (Vec<String>, String, Option<char>, String) {
        let (line, typed) = split(line, BREAKS);
        (line.words, line.current, typed.quote, typed.kept)
    }

    #[test]
    fn the_unfinished_word_is_the_last_one() {
        for (line, words, current) in [
            ("quiver get ", &["quiver", "get"][..], ""),
            ("quiver get no", &["quiver", "get"], "no"),
            (r"quiver get with\ sp", &["quiver", "get"], "with sp"),
            ("quiver get \"with sp", &["quiver", "get"], "with sp"),
            ("quiver get 'it'\\''s", &["quiver", "get"], "it's"),
            ("quiver get \"a\\$b\\c", &["quiver", "get"], "a$b\\c"),
            ("quiver get $(touch x", &["quiver", "get", "$(touch"], "x"),
        ] {
            let (found, rest, ..) = split_line(line);
            assert_eq!((found, &*rest), (words.iter().map(ToString::to_string).collect(), current));
        }
    }

    #[test]
    fn the_part_that_bash_keeps_ends_at_a_break_or_an_open_quote() {
        for (line, quote, kept) in [
            ("quiver --server=wo", None, "--server="),
            ("quiver get a:b:c", None, "a:b:"),
            (r"quiver get a\:b", None, ""),
            ("quiver get 'a:b", Some('\''), ""),
            ("quiver get a/\"b c", Some('"'), "a/"),
            ("quiver get \"a:b\"c", None, ""),
            ("quiver get x:y ", None, ""),
        ] {
            let (.., found, rest) = split_line(line);
            assert_eq!((found, &*rest), (quote, kept), "{line}");
        }
    }

    #[test]
    fn flags_have_their_value_in_the_same_word_or_in_the_next() {
        for line in ["quiver --server work get ", "quiver get --server=work x "] {
            assert_eq!(split(line, BREAKS).0.flag("--server"), Some("work"), "{line}");
        }
        assert_eq!(split("quiver --servers x ", BREAKS).0.flag("--server"), None);
    }
}
