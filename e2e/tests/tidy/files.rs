//! The rules for a single file: its length, its first line and its name.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;

use crate::modules::read_tokens;
use crate::tokens;
use crate::violation::Violation;

const MAX_LINES: usize = 400;

/// Names that do not describe a module's content.
const VAGUE_NAMES: [&str; 5] = ["common", "util", "utils", "helper", "helpers"];

/// All Rust files below a folder, except in build folders and hidden folders.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    files_with_extension(folder, "rs")
}

/// All files below a folder whose names end with this extension, except in build folders and hidden folders.
pub(crate) fn files_with_extension(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if kind.is_dir() && !is_hidden && !path.join("CACHEDIR.TAG").exists() {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn check_length(repository: &Path) -> Vec<Violation> {
    let count = |path: &Path| fs::read_to_string(path).unwrap().lines().count();
    let files = rust_files(repository).into_iter().map(|path| (count(&path), path));
    files
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, path)| {
            Violation::new(
                path.strip_prefix(repository).unwrap().display(),
                format!("it has {lines} lines; the limit is {MAX_LINES}"),
                "make it a folder of files with one job each",
            )
        })
        .collect()
}

/// Checks only files in a folder `src`.
pub(crate) fn check_first_line(repository: &Path) -> Vec<Violation> {
    let mut violations = Vec::new();
    for path in rust_files(repository) {
        let relative = path.strip_prefix(repository).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        if relative.components().any(|component| component.as_os_str() == "src")
            && !has_job_line(&text)
        {
            violations.push(Violation::new(
                relative.display(),
                "its first line does not say its job",
                "start it with `//! ` and what it does, then what it deliberately does not do",
            ));
        }
    }
    violations
}

fn has_job_line(text: &str) -> bool {
    let first = text.lines().next().and_then(|line| line.strip_prefix("//! "));
    first.is_some_and(|job| job.split_whitespace().count() > 1)
}

pub(crate) fn check_names(repository: &Path) -> Vec<Violation> {
    let mut violations = Vec::new();
    for path in rust_files(repository) {
        let relative = path.strip_prefix(repository).unwrap().with_extension("");
        let mut names: Vec<_> = relative
            .components()
            .map(|component| component.as_os_str().to_string_lossy().into_owned())
            .collect();
        if let Ok(tokens) = read_tokens(&path) {
            add_inline_modules(tokens, &mut names);
        }
        if let Some(name) = names.iter().find(|name| VAGUE_NAMES.contains(&name.as_str())) {
            violations.push(Violation::new(
                path.strip_prefix(repository).unwrap().display(),
                format!("`{name}` does not describe its content"),
                "name it after its job, or move each function to the file it belongs to",
            ));
        }
    }
    violations
}

/// Adds the names of the inline modules in these tokens.
fn add_inline_modules(tokens: TokenStream, names: &mut Vec<String>) {
    for module in tokens::read(tokens).modules {
        if let Some(body) = module.body {
            names.push(module.name);
            add_inline_modules(body, names);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::SourceTree;

    fn locations(violations: &[Violation]) -> Vec<&str> {
        violations.iter().map(|violation| violation.location.as_str()).collect()
    }

    #[test]
    fn a_file_of_more_than_400_lines_is_reported_in_any_folder() {
        let (fits, too_long) = ("x\n".repeat(400), "x\n".repeat(401));
        let sources = SourceTree::new(&[
            ("server/src/fits.rs", &fits),
            ("server/src/long.rs", &too_long),
            ("server/tests/story/long.rs", &too_long),
            ("server/benches/long.rs", &too_long),
            ("server/long.txt", &too_long),
            ("target/CACHEDIR.TAG", ""),
            ("target/debug/long.rs", &too_long),
            (".hidden/long.rs", &too_long),
        ]);
        let violations = check_length(sources.path());
        let expected =
            ["server/benches/long.rs", "server/src/long.rs", "server/tests/story/long.rs"];
        assert_eq!(locations(&violations), expected);
        assert!(violations[0].rule.contains("401 lines"), "{}", violations[0]);
    }

    #[test]
    fn a_file_in_src_without_its_job_in_the_first_line_is_reported() {
        let sources = SourceTree::new(&[
            ("server/src/right.rs", "//! Reads the settings.\nuse a;"),
            ("server/src/code.rs", "use a;\n//! Reads the settings."),
            ("server/src/comment.rs", "// Reads the settings."),
            ("server/src/empty.rs", ""),
            ("server/src/name.rs", "//! Settings"),
            ("server/tests/story.rs", "use a;"),
        ]);
        let expected = [
            "server/src/code.rs",
            "server/src/comment.rs",
            "server/src/empty.rs",
            "server/src/name.rs",
        ];
        assert_eq!(locations(&check_first_line(sources.path())), expected);
    }

    #[test]
    fn a_module_with_a_vague_name_is_reported() {
        let sources = SourceTree::new(&[
            ("server/src/common.rs", ""),
            ("server/src/commonly.rs", ""),
            ("server/src/utils/mod.rs", ""),
            ("server/tests/helpers.rs", ""),
            ("server/src/inline.rs", "pub mod outer { mod helpers { } }"),
        ]);
        let expected = [
            "server/src/common.rs",
            "server/src/inline.rs",
            "server/src/utils/mod.rs",
            "server/tests/helpers.rs",
        ];
        assert_eq!(locations(&check_names(sources.path())), expected);
    }
}
