//! The rule for links: a relative link or image leads to a file that exists, and an anchor to one of its headings.
//! Opens no address of the network.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{Document, markdown};
use crate::violation::Violation;

pub(crate) fn check(repository: &Path, documents: &[Document]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for document in documents {
        for (line, target) in targets(&document.text) {
            if let Some(problem) = problem(repository, document, &target) {
                violations.push(Violation::new(
                    format!("{}:{line}", document.path),
                    format!("the link {target} leads nowhere: {problem}"),
                    "correct the path or the anchor, or remove the link",
                ));
            }
        }
    }
    violations
}

/// The targets of the links and images of a text, each with its line.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut targets = Vec::new();
    for (index, line) in markdown::prose(text).lines().enumerate() {
        // Code spans in the text of a link do not end it.
        for (start, _) in line.match_indices("](") {
            let rest = &line[start + 2..];
            if let Some(end) = rest.find(')') {
                targets.push((index + 1, rest[..end].to_owned()));
            }
        }
    }
    targets
}

fn problem(repository: &Path, document: &Document, target: &str) -> Option<String> {
    if ["https://", "http://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
        return None;
    }
    let (path, anchor) = match target.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (target, None),
    };
    let text = if path.is_empty() {
        document.text.clone()
    } else {
        let folder = Path::new(&document.path).parent().unwrap();
        let Some(file) = normalized(&folder.join(path)).map(|file| repository.join(file)) else {
            return Some("it leaves the repository".to_owned());
        };
        if !file.exists() {
            return Some("no such file".to_owned());
        }
        match anchor {
            None => return None,
            Some(_) => fs::read_to_string(&file).unwrap(),
        }
    };
    let anchor = anchor?;
    let exists = markdown::anchors(&text).iter().any(|found| found == anchor);
    (!exists).then(|| "no such heading".to_owned())
}

/// The path without `..`; `None` if it leads above its start.
fn normalized(path: &Path) -> Option<PathBuf> {
    let mut normalized = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir if !normalized.pop() => return None,
            Component::ParentDir | Component::CurDir => {}
            other => normalized.push(other),
        }
    }
    Some(normalized)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::read_all;
    use crate::sources::SourceTree;

    fn broken_links(text: &str) -> Vec<String> {
        let sources = SourceTree::new(&[
            ("README.md", "# Quiver\n## Exit `codes`\n"),
            ("docs/picture.svg", ""),
            ("docs/page.md", text),
        ]);
        let violations = check(sources.path(), &read_all(sources.path()));
        violations.into_iter().map(|found| format!("{}: {}", found.location, found.rule)).collect()
    }

    #[test]
    fn links_to_files_headings_and_addresses_are_allowed() {
        let text = "# Page\n[a](../README.md) ![b](picture.svg) [`c`](../README.md#exit-codes) [d](#page)\n\
                    [e](https://example.org/x#y)\n```\n[f](nowhere)\n```\n";
        assert_eq!(broken_links(text), [""; 0]);
    }

    #[test]
    fn a_link_to_a_missing_file_or_heading_is_reported_with_its_line() {
        for (target, problem) in [
            ("missing.md", "no such file"),
            ("README.md", "no such file"),
            ("../README.md#exit", "no such heading"),
            ("#page", "no such heading"),
            ("../../x", "it leaves the repository"),
        ] {
            let expected = format!("docs/page.md:2: the link {target} leads nowhere: {problem}");
            assert_eq!(broken_links(&format!("\nSee [x]({target}).")), [expected]);
        }
    }
}
