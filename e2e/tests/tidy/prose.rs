//! Phrases that hide who acts, counted over all sources and documents.

use std::fs;
use std::path::Path;

use crate::files::{files_with_extension, rust_files};
use crate::violation::Violation;

/// Each hides a subject, or is a metaphor. The literals are cut, so that this file does not count.
const PHRASES: [&str; 6] = [
    concat!("who", "ever"),
    concat!("no", "body"),
    concat!("some", "body"),
    concat!("sta", "nds"),
    concat!("goes ", "on"),
    concat!("go ", "on"),
];

/// Phrases in 10,000 lines.
const MOST: usize = 10;

pub(crate) fn check_phrases(repository: &Path) -> Vec<Violation> {
    let (mut lines, mut found) = (0, Vec::new());
    let documents = files_with_extension(repository, "md");
    for path in rust_files(repository).into_iter().chain(documents) {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            lines += 1;
            if PHRASES.iter().any(|phrase| contains(&line.to_lowercase(), phrase)) {
                let below = path.strip_prefix(repository).unwrap();
                found.push(format!("{}:{}", below.display(), number + 1));
            }
        }
    }
    if found.len() * 10_000 <= MOST * lines {
        return Vec::new();
    }
    vec![Violation::new(
        found.join("\n    "),
        format!("{} of {lines} lines hide who acts; {MOST} in 10,000 are the limit", found.len()),
        format!("name the subject, and use the field's verb, instead of {}", PHRASES.join(", ")),
    )]
}

/// Whether `line` has the phrase as whole words.
fn contains(line: &str, phrase: &str) -> bool {
    let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    line.match_indices(phrase).any(|(at, _)| {
        let bytes = line.as_bytes();
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        !is_letter(before) && !is_letter(bytes.get(at + phrase.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::SourceTree;

    #[test]
    fn phrases_that_hide_who_acts_are_counted_in_sources_and_documents() {
        let phrase = format!("// {} reads this", PHRASES[0]);
        let lines = "use a;\n".repeat(998);
        let (one, two) = (format!("{lines}{phrase}\n"), format!("{lines}{phrase}\n{phrase}\n"));
        let few = SourceTree::new(&[("a.rs", one.as_str()), ("b.md", "outstanding work\n")]);
        assert!(check_phrases(few.path()).is_empty());
        for name in ["a.rs", "docs/a.md"] {
            let many = SourceTree::new(&[(name, &two)]);
            let violations = check_phrases(many.path());
            assert_eq!(violations.len(), 1, "{name}");
            assert!(violations[0].location.contains(&format!("{name}:999")), "{}", violations[0]);
        }
    }
}
