//! The rule for numbers: what a document states comes from a constant and has its value, and each number with a unit
//! is one of these or an exception with a reason. The statements are in numbers.txt.

use std::ops::Range;
use std::path::Path;

use super::{Document, constants, markdown};
use crate::violation::Violation;

/// The statements of this repository.
///
/// A line `# PATH` names the document of the lines below it; empty lines are ignored. Each other line is one of
/// - `PHRASE => FILE EXPRESSION = VALUE`: the phrase is in the document, with line breaks as spaces, and has the number
///   of the value in digits or as a word. The expression of constants in that file has this value. With `<` instead
///   of `=` it is less: the document states a bound.
/// - `PHRASE => because REASON`: the numbers of the phrase come from no constant.
pub(crate) const STATEMENTS: &str = include_str!("numbers.txt");

const REMEDY: &str = "correct the document, then its line in e2e/tests/tidy/documents/numbers.txt";

/// The sections of documents of which only some are checked.
const SECTIONS: [(&str, &[&str]); 1] = [("docs/protocol.md", &["2", "7", "8", "9", "15", "16"])];

const NUMBER_WORDS: [(&str, &str); 15] = [
    ("a", "1"),
    ("an", "1"),
    ("one", "1"),
    ("every", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("eight", "8"),
    ("ninth", "9"),
    ("ten", "10"),
    ("sixteen", "16"),
    ("sixteenth", "16"),
    ("fourteen", "14"),
];

const UNITS: [&str; 24] = [
    "ms", "s", "second", "seconds", "minute", "minutes", "h", "hour", "hours", "day", "days",
    "year", "years", "byte", "bytes", "B", "kB", "KB", "MB", "GB", "KiB", "MiB", "GiB", "%",
];

struct Statement<'a> {
    document: &'a str,
    phrase: &'a str,
    /// `None` for an exception.
    fact: Option<&'a str>,
}

/// Checks the statements of `list` and the numbers of their documents.
pub(crate) fn check(repository: &Path, documents: &[Document], list: &str) -> Vec<Violation> {
    let statements = match parse(list) {
        Ok(statements) => statements,
        Err(violation) => return vec![violation],
    };
    let mut violations = Vec::new();
    let mut names: Vec<_> = statements.iter().map(|statement| statement.document).collect();
    names.dedup();
    for name in names {
        let statements = statements.iter().filter(|statement| statement.document == name);
        match documents.iter().find(|document| document.path == name) {
            Some(document) => {
                violations.extend(check_document(repository, document, statements));
            }
            None => violations.push(Violation::new(name, "there is no such document", REMEDY)),
        }
    }
    violations
}

fn parse(list: &str) -> Result<Vec<Statement<'_>>, Violation> {
    let mut document = "";
    let mut statements = Vec::new();
    for (index, line) in list.lines().enumerate() {
        if let Some(path) = line.strip_prefix("# ") {
            document = path;
        } else if !line.is_empty() {
            let Some((phrase, rest)) = line.split_once(" => ") else {
                let location = format!("numbers.txt:{}", index + 1);
                return Err(Violation::new(
                    location,
                    "this is no statement",
                    "write PHRASE => FACT",
                ));
            };
            let fact = (!rest.starts_with("because ")).then_some(rest);
            statements.push(Statement { document, phrase, fact });
        }
    }
    Ok(statements)
}

fn check_document<'a>(
    repository: &Path,
    document: &Document,
    statements: impl Iterator<Item = &'a Statement<'a>>,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut report = |rule: String| {
        violations.push(Violation::new(&document.path, rule, REMEDY));
    };
    let checked = joined(&checked_part(document));
    // Statements may also quote a block, such as the list of options.
    let whole = joined(&document.text.replace("```", ""));
    let mut covered = Vec::new();
    for Statement { phrase, fact, .. } in statements {
        if !whole.contains(phrase) {
            report(format!("it does not say \"{phrase}\""));
        }
        covered
            .extend(checked.match_indices(phrase).map(|(start, found)| start..start + found.len()));
        if let Some(problem) = fact.and_then(|fact| problem(repository, phrase, fact)) {
            report(format!("\"{phrase}\": {problem}"));
        }
    }
    for number in numbers_with_units(&checked) {
        let is_covered =
            covered.iter().any(|range| range.start <= number.start && number.end <= range.end);
        if !is_covered {
            let context = context(&checked, &number);
            report(format!("no statement has the number in \"{context}\""));
        }
    }
    violations
}

/// Why a fact is wrong.
fn problem(repository: &Path, phrase: &str, fact: &str) -> Option<String> {
    let (file, rest) = fact.split_once(' ')?;
    let parts = [" = ", " < "].into_iter().find_map(|operator| {
        rest.split_once(operator).map(|(expression, stated)| (expression, operator, stated))
    });
    let Some((expression, operator, stated)) = parts else {
        return Some(format!("{fact} compares nothing"));
    };
    let Some(expected) = constants::quantity(stated) else {
        return Some(format!("{stated} is no quantity"));
    };
    let number = stated.split(' ').next().unwrap_or_default();
    if !words(phrase).any(|word| word == number || number_of_word(word) == Some(number)) {
        return Some(format!("it does not have the number {number}"));
    }
    match constants::evaluate(repository, file, expression) {
        Ok(value) if operator == " < " && value < expected => None,
        Ok(value) if operator == " = " && (value - expected).abs() < 1e-9 => None,
        Ok(value) => Some(format!("{expression} in {file} is {value}, not{operator}{expected}")),
        Err(error) => Some(format!("{expression} in {file}: {error}")),
    }
}

/// The part of a document whose numbers are checked, without fenced blocks.
fn checked_part(document: &Document) -> String {
    let prose = markdown::prose(&document.text);
    let Some((_, sections)) = SECTIONS.iter().find(|(path, _)| *path == document.path) else {
        return prose;
    };
    let parts = prose.split("\n## ");
    let is_checked =
        |part: &&str| part.split(' ').next().is_some_and(|first| sections.contains(&first));
    parts.filter(is_checked).collect::<Vec<_>>().join("\n")
}

/// The text on one line.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Words and numbers, without the marks around them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_separator =
        |char: char| !(char.is_alphanumeric() || char == '.' || char == ',' || char == '%');
    text.split(is_separator).flat_map(split_unit).map(|word| word.trim_end_matches(['.', ',']))
}

/// `20GB` is two words.
fn split_unit(word: &str) -> impl Iterator<Item = &str> {
    let is_digit = |char: char| char.is_ascii_digit() || char == '.' || char == ',';
    let end = word.find(|char| !is_digit(char)).filter(|end| *end > 0).unwrap_or(word.len());
    [&word[..end], &word[end..]].into_iter().filter(|part| !part.is_empty())
}

fn number_of_word(word: &str) -> Option<&'static str> {
    NUMBER_WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, number)| *number)
}

/// Where the text has a number and its unit, outside of code spans. `a second` is seldom a time, `a byte` no size.
fn numbers_with_units(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut last: Option<(usize, &str)> = None;
    for (index, part) in text.split('`').enumerate() {
        let part_start = part.as_ptr() as usize - text.as_ptr() as usize;
        last = last.filter(|_| index % 2 == 0);
        if index % 2 == 1 {
            continue;
        }
        for word in words(part) {
            let start = part_start + (word.as_ptr() as usize - part.as_ptr() as usize);
            if let Some((number_start, number)) = last
                && UNITS.contains(&word)
                && !(number.eq_ignore_ascii_case("a") && ["second", "byte"].contains(&word))
                && is_adjacent(&text[number_start + number.len()..start])
            {
                found.push(number_start..start + word.len());
            }
            let is_number = word.starts_with(|char: char| char.is_ascii_digit())
                || number_of_word(word).is_some();
            last = is_number.then_some((start, word));
        }
    }
    found
}

/// Whether a number and its unit may have this between them.
fn is_adjacent(between: &str) -> bool {
    ["", " ", "-"].contains(&between)
}

/// The number with some of the text around it.
fn context<'a>(text: &'a str, number: &Range<usize>) -> &'a str {
    let start = text[..number.start].char_indices().rev().nth(40).map_or(0, |(start, _)| start);
    let end = text[number.end..].char_indices().nth(20);
    &text[start..end.map_or(text.len(), |(end, _)| number.end + end)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::read_all;
    use crate::sources::SourceTree;

    const PAGE: &str = "It waits 10 seconds, or\nan hour, and\nkeeps 2.5 MiB. Three may wait. `5 s`\n```\n6 s\n```\n";
    const LIST: &str = "# docs/page.md\nIt waits 10 seconds => a.rs WAIT = 10 s\n\nor an hour => a.rs HOUR < 1 h\n\
                        keeps 2.5 MiB => a.rs SIZE = 2.5 MiB\nThree may wait => a.rs COUNT = 3\n\
                        6 s => because it is an example\n";
    const CODE: &str = "const WAIT: Duration = Duration::from_secs(10); const HOUR: Duration = Duration::from_secs(3599);\
                        const SIZE: u64 = 2560 * 1024; const COUNT: u8 = 3;";

    fn problems(page: &str, list: &str, code: &str) -> Vec<String> {
        let sources = SourceTree::new(&[("docs/page.md", page), ("a.rs", code)]);
        let violations = check(sources.path(), &read_all(sources.path()), list);
        violations.into_iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn numbers_of_constants_and_exceptions_are_allowed() {
        assert_eq!(problems(PAGE, LIST, CODE), [""; 0]);
    }

    #[test]
    fn a_constant_with_another_value_is_reported() {
        for (before, after) in [
            ("from_secs(10)", "from_secs(11)"),
            ("from_secs(3599)", "from_secs(3600)"),
            ("2560", "2561"),
            ("u8 = 3", "u8 = 4"),
            ("COUNT", "COUNTS"),
        ] {
            let found = problems(PAGE, LIST, &CODE.replace(before, after));
            assert_eq!(found.len(), 1, "{after}: {found:?}");
        }
    }

    #[test]
    fn a_document_with_another_number_is_reported() {
        let page = PAGE.replace("10 seconds", "12 seconds");
        let expected = [
            "it does not say \"It waits 10 seconds\"",
            "no statement has the number in \"It waits 12 seconds, or an hour, and ke\"",
        ];
        assert_eq!(problems(&page, LIST, CODE), expected);
        let list = LIST.replace("= 10 s", "= 9 s");
        assert!(problems(PAGE, &list, CODE)[0].contains("does not have the number 9"));
    }

    #[test]
    fn a_number_with_a_unit_and_no_statement_is_reported() {
        for (text, number) in [
            ("for 20 ms", "20 ms"),
            ("a 1,024-byte page", "1,024-byte"),
            ("two days", "two days"),
            ("20GB", "20GB"),
            ("14 %", "14 %"),
        ] {
            let found = numbers_with_units(text);
            assert_eq!(
                found.iter().map(|range| &text[range.clone()]).collect::<Vec<_>>(),
                [number]
            );
        }
        for text in ["a second one", "a byte", "4433", "`10 s`", "version 3, days", "10 of 20"] {
            assert!(numbers_with_units(text).is_empty(), "{text}");
        }
    }
}
