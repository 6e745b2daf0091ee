//! The string literals and the identifiers of the sources. Compares nothing.

use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};

use crate::files::rust_files;
use crate::modules::read_tokens;
use crate::tokens;

/// All string literals in the folders `src` below these folders, except those of tests.
pub(super) fn string_literals(repository: &Path, folders: &[&str]) -> Vec<String> {
    let mut literals = Vec::new();
    for folder in folders {
        for file in source_files(&repository.join(folder)) {
            collect(tokens_of(&file), &mut literals);
        }
    }
    literals.sort();
    literals.dedup();
    literals
}

/// The files of a folder that are not compiled only for tests.
fn source_files(folder: &Path) -> Vec<PathBuf> {
    if !folder.is_dir() {
        return Vec::new();
    }
    let mut files = rust_files(folder);
    files.retain(|file| {
        let names: Vec<_> =
            file.strip_prefix(folder).unwrap().iter().map(|name| name.to_string_lossy()).collect();
        names.iter().any(|name| name == "src")
            && !names.iter().any(|name| name == "tests" || name == "tests.rs")
    });
    files
}

/// The tokens of a file; none if it is not Rust.
pub(super) fn tokens_of(file: &Path) -> TokenStream {
    read_tokens(file).unwrap_or_default()
}

fn collect(tokens: TokenStream, literals: &mut Vec<String>) {
    for token in tokens::without_tests(tokens) {
        match token {
            TokenTree::Group(group) => collect(group.stream(), literals),
            TokenTree::Literal(literal) => literals.extend(string(&literal.to_string())),
            _ => {}
        }
    }
}

/// The value of a string literal; `None` for another literal.
pub(super) fn string(literal: &str) -> Option<String> {
    if let Some(raw) = literal.strip_prefix('r') {
        let raw = raw.trim_matches('#');
        return Some(raw.strip_prefix('"')?.strip_suffix('"')?.to_owned());
    }
    let mut chars = literal.strip_prefix('"')?.strip_suffix('"')?.chars().peekable();
    let mut value = String::new();
    while let Some(char) = chars.next() {
        if char != '\\' {
            value.push(char);
            continue;
        }
        match chars.next()? {
            'n' => value.push('\n'),
            't' => value.push('\t'),
            'r' => value.push('\r'),
            '0' => value.push('\0'),
            // The next line continues this one, without its indentation.
            '\n' => while chars.next_if(|char| char.is_whitespace()).is_some() {},
            'u' => {
                let code: String = chars.by_ref().take_while(|char| *char != '}').collect();
                let code = u32::from_str_radix(code.trim_start_matches('{'), 16).ok()?;
                value.push(char::from_u32(code)?);
            }
            'x' => {
                let code: String = chars.by_ref().take(2).collect();
                value.push(u8::from_str_radix(&code, 16).ok()?.into());
            }
            other => value.push(other),
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::SourceTree;

    #[test]
    fn literals_of_code_are_found_without_those_of_tests() {
        let code = "fn f() { log!(\"a \\\n   b\\n\"); g(r#\"c\"#, 'd', 1, b\"e\"); }\n\
                    #[cfg(test)] mod tests { fn f() { \"no\"; } }";
        let sources = SourceTree::new(&[
            ("server/src/a.rs", code),
            ("server/src/a/tests.rs", "fn f() { \"no\"; }"),
            ("server/tests/story.rs", "fn f() { \"no\"; }"),
            ("client/src/b.rs", "fn f() { \"no\"; }"),
        ]);
        assert_eq!(string_literals(sources.path(), &["server", "none"]), ["a b\n", "c"]);
    }
}
