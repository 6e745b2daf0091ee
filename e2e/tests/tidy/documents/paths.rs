//! The rule for code paths: a path of the repository in a document leads to a file or folder, also the short ones of
//! ARCHITECTURE.md, which start in the folder `src` of a crate.

use std::path::Path;

use super::{Document, markdown};
use crate::files::rust_files;
use crate::violation::Violation;

/// What the paths of the repository start with.
const FOLDERS: [&str; 10] = [
    "protocol",
    "transport",
    "transfer",
    "server",
    "client",
    "e2e",
    "fuzz",
    "scripts",
    "docs",
    "certs",
];

/// Paths that exist only after a program has run.
const MADE_LATER: [&str; 4] =
    ["fuzz/corpus", "fuzz/artifacts", "certs/server.pem", "certs/server.key"];

/// The document with short paths.
const MAP: &str = "ARCHITECTURE.md";

pub(crate) fn check(repository: &Path, documents: &[Document]) -> Vec<Violation> {
    let files: Vec<_> = rust_files(repository)
        .into_iter()
        .map(|file| file.strip_prefix(repository).unwrap().to_str().unwrap().to_owned())
        .collect();
    let mut violations = Vec::new();
    for document in documents {
        for (line, path) in paths(document) {
            if !expand(&path).iter().all(|path| exists(repository, &files, document, path)) {
                violations.push(Violation::new(
                    format!("{}:{line}", document.path),
                    format!("there is no {path}"),
                    "write the path as it is in the repository",
                ));
            }
        }
    }
    violations
}

/// The paths of a document that must exist, each with its line.
fn paths(document: &Document) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    for span in markdown::code_spans(&document.text) {
        if is_path(&span.text) && (is_of_repository(&span.text) || document.path == MAP) {
            paths.push((span.line, span.text));
        }
    }
    for (index, line) in markdown::prose(&document.text).lines().enumerate() {
        // Code spans are every second part.
        for text in line.split('`').step_by(2) {
            for word in text.split([' ', '(', ')', ',', ';', '`', ':', '[', ']']) {
                let word = word.trim_end_matches('.');
                if word.ends_with(".rs") && is_path(word) {
                    paths.push((index + 1, word.to_owned()));
                }
            }
        }
    }
    paths.retain(|(line, path)| {
        !MADE_LATER.contains(&path.as_str()) && !is_new(document, *line, path)
    });
    paths
}

/// At least a folder and a name, of the characters that names in the repository have. Not a path with a word in
/// capitals, which the reader replaces.
fn is_path(text: &str) -> bool {
    let is_valid = |char: char| char.is_ascii_alphanumeric() || "_-./{},*".contains(char);
    let is_placeholder = |part: &str| {
        part.len() > 1 && part != "README" && part.chars().all(|char| char.is_ascii_uppercase())
    };
    text.contains('/')
        && !text.starts_with(['/', '.', '*'])
        && text.chars().all(is_valid)
        && !text.split(['/', '.']).any(is_placeholder)
}

fn is_of_repository(path: &str) -> bool {
    let first = path.split('/').next();
    path.ends_with(".rs") || first.is_some_and(|first| FOLDERS.contains(&first))
}

/// Whether the document tells the reader to make this file.
fn is_new(document: &Document, line: usize, path: &str) -> bool {
    let line = document.text.lines().nth(line - 1).unwrap_or_default();
    line.contains(&format!("a new `{path}`"))
}

/// The paths that one with braces means: `a/{b,c}.rs` is `a/b.rs` and `a/c.rs`.
fn expand(path: &str) -> Vec<String> {
    let braces = path.split_once('{').and_then(|(before, rest)| {
        rest.split_once('}').map(|(names, after)| (before, names, after))
    });
    let Some((before, names, after)) = braces else { return vec![path.to_owned()] };
    names.split(',').flat_map(|name| expand(&format!("{before}{name}{after}"))).collect()
}

fn exists(repository: &Path, files: &[String], document: &Document, path: &str) -> bool {
    if let Some((folder, pattern)) = path.rsplit_once('/').filter(|(_, name)| name.contains('*')) {
        let Ok(entries) = repository.join(folder).read_dir() else { return false };
        let (start, end) = pattern.split_once('*').unwrap();
        let mut names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        return names.any(|name| name.starts_with(start) && name.ends_with(end));
    }
    if repository.join(path).exists() {
        return true;
    }
    // Short: a module, or a folder of them, in the source folder of a crate.
    let module = format!("/src/{}", path.trim_end_matches(".rs").trim_end_matches('/'));
    let is_module = |file: &String| {
        file.split_once(&module).is_some_and(|(_, rest)| {
            rest == ".rs" || (!path.ends_with(".rs") && rest.starts_with('/'))
        })
    };
    document.path == MAP && files.iter().any(is_module)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::read_all;
    use crate::sources::SourceTree;

    fn missing_paths(document: &str, text: &str) -> Vec<String> {
        let sources = SourceTree::new(&[
            ("server/src/files/root.rs", ""),
            ("server/src/files/mod.rs", ""),
            ("protocol/tests/golden/requests.txt", ""),
            (document, text),
        ]);
        let violations = check(sources.path(), &read_all(sources.path()));
        violations.into_iter().map(|found| format!("{}: {}", found.location, found.rule)).collect()
    }

    #[test]
    fn paths_that_exist_and_placeholders_are_allowed() {
        let text = "`server/src/files/{root,mod}.rs`, `server/src/files/`, (server/src/files/root.rs), \
                    `protocol/tests/golden/*.txt`, `server/src/NAME.rs`, a new `server/src/new.rs`, \
                    `fuzz/corpus`, `notes/a.txt`, `tar | a/b.rs`";
        assert_eq!(missing_paths("docs/page.md", text), [""; 0]);
        let text = "`files/root`, `files/{root,mod}.rs`, `server/src`";
        assert_eq!(missing_paths("ARCHITECTURE.md", text), [""; 0]);
    }

    #[test]
    fn a_path_that_leads_nowhere_is_reported_with_its_line() {
        for (document, path) in [
            ("docs/page.md", "`server/src/none.rs`"),
            ("docs/page.md", "`server/src/files/{root,none}.rs`"),
            ("docs/page.md", "`protocol/tests/golden/*.json`"),
            ("docs/page.md", "`files/root.rs`"),
            ("docs/page.md", "(server/src/none.rs)"),
            ("ARCHITECTURE.md", "`files/none`"),
            ("ARCHITECTURE.md", "`files/none.rs`"),
            ("ARCHITECTURE.md", "`files.rs/root`"),
        ] {
            let expected =
                format!("{document}:2: there is no {}", path.trim_matches(['`', '(', ')']));
            assert_eq!(missing_paths(document, &format!("\nIn {path}.")), [expected]);
        }
    }
}
