//! The rule for quoted messages: each line of the table "The log" and each message of "Troubleshooting" in
//! docs/operations.md is one that the sources can write. Words in capitals, `N` and `M` stand for what a source inserts,
//! `...` for any text.

use std::path::Path;

use super::literals::string_literals;
use super::{Document, markdown, section};
use crate::violation::Violation;

const DOCUMENT: &str = "docs/operations.md";
const SOURCES: [&str; 4] = ["server", "transport", "transfer", "client"];

/// The start of the text that the standard library gives a panic.
const PANIC: &str = "panicked at {}";

/// A character of a message, or a place for a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QuotePart {
    Char(char),
    /// In a quote: a word in capitals, for one place of the source.
    Word,
    /// In a quote: `...`, for any text. In a source: a place.
    Any,
}

pub(crate) fn check(repository: &Path, documents: &[Document]) -> Vec<Violation> {
    let Some(document) = documents.iter().find(|document| document.path == DOCUMENT) else {
        return Vec::new();
    };
    let mut literals = string_literals(repository, &SOURCES);
    literals.push(PANIC.to_owned());
    let templates = Templates::new(&literals);
    let mut violations = Vec::new();
    for quote in quotes(&document.text) {
        if !templates.can_write(&quote_parts(&quote)) {
            violations.push(Violation::new(
                DOCUMENT,
                format!("no source writes `{quote}`"),
                "quote the message as the source has it; words in capitals and ... stand for what varies",
            ));
        }
    }
    violations
}

/// The messages in the first column of both tables.
pub(super) fn quotes(text: &str) -> Vec<String> {
    let sections = ["## The log", "## Troubleshooting"].map(|heading| section(text, heading));
    let rows = sections.into_iter().flatten().flat_map(markdown::table_rows);
    let cells = rows.filter_map(|(_, cells)| cells.into_iter().next());
    let spans = cells.flat_map(|cell| markdown::code_spans(&cell)).map(|span| span.text);
    // A name such as `list` or `no_space` is no message.
    spans.filter(|span| span.contains(' ') || span == "stopped").collect()
}

fn quote_parts(quote: &str) -> Vec<QuotePart> {
    let mut parts = Vec::new();
    let mut rest = quote;
    while let Some(first) = rest.chars().next() {
        let word =
            rest.split(|char: char| !char.is_ascii_alphanumeric()).next().unwrap_or_default();
        let is_variable = word.chars().all(|char| char.is_ascii_uppercase())
            && (word.len() > 1 || ["N", "M"].contains(&word));
        let length = if rest.starts_with("...") {
            3
        } else if is_variable {
            word.len()
        } else {
            let length = word.len().max(first.len_utf8());
            parts.extend(rest[..length].chars().map(QuotePart::Char));
            rest = &rest[length..];
            continue;
        };
        parts.push(if is_variable { QuotePart::Word } else { QuotePart::Any });
        rest = &rest[length..];
    }
    parts
}

/// The parts of a format string: `{...}` is a place for any text, `{{` a brace.
fn template_parts(literal: &str) -> Vec<QuotePart> {
    let mut parts = Vec::new();
    let mut chars = literal.chars().peekable();
    while let Some(char) = chars.next() {
        if (char == '{' || char == '}') && chars.next_if_eq(&char).is_some() {
            parts.push(QuotePart::Char(char));
        } else if char == '{' {
            while chars.next().is_some_and(|char| char != '}') {}
            parts.push(QuotePart::Any);
        } else {
            parts.push(QuotePart::Char(char));
        }
    }
    parts
}

/// The format strings of the sources.
struct Templates {
    /// Those that start with a text and have a word: they may be inserted into others.
    insertable: Vec<Vec<QuotePart>>,
    /// All that are more than one place for any text.
    all: Vec<Vec<QuotePart>>,
}

impl Templates {
    fn new(literals: &[String]) -> Self {
        let is_letter =
            |part: &QuotePart| matches!(part, QuotePart::Char(char) if char.is_alphabetic());
        let has_word =
            |parts: &Vec<QuotePart>| parts.windows(2).any(|pair| pair.iter().all(is_letter));
        let all: Vec<_> = literals.iter().map(|literal| template_parts(literal)).collect();
        let insertable = all.iter().filter(|parts| has_word(parts) && parts[0] != QuotePart::Any);
        Self {
            insertable: insertable.cloned().collect(),
            all: all.into_iter().filter(|parts| parts.len() > 1).collect(),
        }
    }

    /// Whether a template, in which other templates may have been inserted, can be this message.
    fn can_write(&self, quote: &[QuotePart]) -> bool {
        let mut inserted = vec![Vec::new(); quote.len() + 1];
        for (start, ends) in inserted.iter_mut().enumerate() {
            let before = start.checked_sub(1).map(|before| quote[before]);
            if matches!(before, Some(QuotePart::Char(char)) if char.is_alphanumeric()) {
                continue;
            }
            for template in &self.insertable {
                ends.extend(ends_of_matches(&quote[start..], template, &[]).map(|end| start + end));
            }
            ends.sort_unstable();
            ends.dedup();
        }
        self.all.iter().any(|template| {
            ends_of_matches(quote, template, &inserted).any(|end| end == quote.len())
        })
    }
}

/// The lengths of the beginnings of a quote that a template can be. `inserted` has for each position of the quote
/// the ends of the texts that may be inserted where the template has a place.
fn ends_of_matches(
    quote: &[QuotePart],
    template: &[QuotePart],
    inserted: &[Vec<usize>],
) -> impl Iterator<Item = usize> {
    let is_reached = |(end, is_reached): (usize, bool)| is_reached.then_some(end);
    // Most templates differ in the first characters: a shortcut for them.
    let pairs = || {
        quote.iter().zip(template).take_while(|pair| {
            !matches!(pair, (QuotePart::Any | QuotePart::Word, _) | (_, QuotePart::Any))
        })
    };
    if pairs().any(|(quoted, written)| quoted != written) {
        return Vec::new().into_iter().enumerate().filter_map(is_reached);
    }
    let mut reached = vec![false; quote.len() + 1];
    reached[0] = true;
    for part in std::iter::once(None).chain(template.iter().map(Some)) {
        let mut next = vec![false; quote.len() + 1];
        for at in 0..=quote.len() {
            let Some(part) = part else {
                next[at] |= reached[at];
                // A place of the quote may be empty.
                if next[at] && quote.get(at) == Some(&QuotePart::Any) {
                    next[at + 1] = true;
                }
                continue;
            };
            if reached[at] {
                match quote.get(at) {
                    // A place of the quote takes this part, and may take more.
                    Some(QuotePart::Any) => next[at] = true,
                    Some(QuotePart::Word) => next[at + 1] |= *part == QuotePart::Any,
                    Some(char) if char == part => next[at + 1] = true,
                    _ => {}
                }
                if *part == QuotePart::Any
                    && let Some(ends) = inserted.get(at)
                {
                    ends.iter().for_each(|end| next[*end] = true);
                }
            }
            if next[at] && quote.get(at) == Some(&QuotePart::Any) {
                next[at + 1] = true;
            }
        }
        if !next.contains(&true) {
            return next.into_iter().enumerate().filter_map(is_reached);
        }
        reached = next;
    }
    reached.into_iter().enumerate().filter_map(is_reached)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::read_all;
    use crate::sources::SourceTree;

    const CODE: &str = "fn f() { info!(\"{who} has disconnected\"); format!(\"Client {}: {}\", n, name); \
                        info!(\"{done} {path} ({size} bytes) {preposition} {client}: {self}{limit}\"); \
                        g(\"stored\", \"from\"); warn!(\"no answer for {} s: {{x}}\", 1); }";

    fn missing_quotes(log: &str, trouble: &str) -> Vec<String> {
        let head = "| line | meaning |\n|---|---|\n";
        let page = format!(
            "# Page\n## The log\n\n{head}| {log} | `x y` |\n\n## Other\n\n{head}| `no message` | |\n\n\
             ## Troubleshooting\n\n{head}| {trouble} | `z z` |\n"
        );
        let sources = SourceTree::new(&[("docs/operations.md", &page), ("server/src/a.rs", CODE)]);
        let violations = check(sources.path(), &read_all(sources.path()));
        violations.into_iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn messages_of_the_sources_may_be_quoted_with_variables() {
        let log =
            "`Client N: NAME has disconnected`, `stored PATH (N bytes) from Client N: NAME: ...`";
        assert_eq!(missing_quotes(log, "`no answer for N s: ...` or `list` is empty"), [""; 0]);
    }

    #[test]
    fn a_message_that_no_source_has_is_reported() {
        for (log, trouble, quote) in [
            ("`Client N: NAME disconnected`", "", "Client N: NAME disconnected"),
            ("`Client N: NAME has`", "", "Client N: NAME has"),
            ("`taken PATH (N bytes) from ...`", "", "taken PATH (N bytes) from ..."),
            ("", "`no answer for N s`", "no answer for N s"),
            ("", "`an answer ...`", "an answer ..."),
        ] {
            assert_eq!(missing_quotes(log, trouble), [format!("no source writes `{quote}`")]);
        }
    }
}
