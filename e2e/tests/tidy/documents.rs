//! The rules for documents: what README.md, the other pages and `docs/` state is what the files, the sources and the
//! constants of the code say. Knows where the documents are, and nothing of their meaning.

mod constants;
pub(crate) mod flags;
pub(crate) mod links;
mod literals;
mod markdown;
pub(crate) mod metrics;
pub(crate) mod numbers;
pub(crate) mod paths;
pub(crate) mod quotes;

use std::fs;
use std::path::Path;

/// The documents outside `docs/`.
const PAGES: [&str; 6] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "fuzz/README.md",
];

const FOLDERS: [&str; 2] = ["docs", "docs/decisions"];

/// A document with its path relative to the repository.
#[derive(Debug)]
pub(crate) struct Document {
    path: String,
    text: String,
}

/// All documents of the repository.
pub(crate) fn read_all(repository: &Path) -> Vec<Document> {
    let mut paths = PAGES.map(str::to_owned).to_vec();
    for folder in FOLDERS {
        let Ok(entries) = fs::read_dir(repository.join(folder)) else { continue };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let names = names.filter(|name| name.ends_with(".md"));
        paths.extend(names.map(|name| format!("{folder}/{name}")));
    }
    paths.sort();
    let documents = paths.into_iter().filter_map(|path| Document::read(repository, &path));
    documents.collect()
}

impl Document {
    /// `None` if there is no such file.
    fn read(repository: &Path, path: &str) -> Option<Self> {
        let text = fs::read_to_string(repository.join(path)).ok()?;
        Some(Self { path: path.to_owned(), text })
    }
}

/// The text of a document below the heading of this name, to the next heading of the same level.
fn section<'a>(text: &'a str, heading: &str) -> Option<&'a str> {
    let start = text.find(&format!("\n{heading}\n"))? + heading.len() + 2;
    let level = heading.split(' ').next()?;
    let end = text[start..].find(&format!("\n{level} "));
    Some(end.map_or(&text[start..], |end| &text[start..start + end]))
}
