//! Patterns for names on the server: `*.txt`, `notes/20??/*`, `**/*.md`. Knows nothing of the server.

use globset::{GlobBuilder, GlobMatcher};
use quiver_protocol::path::BadPath;
use quiver_protocol::{FilePath, FolderPath};
use thiserror::Error;

/// Parts of a path, some of which may stand for many names.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// The folder in which the first name is open.
    base: FolderPath,
    rest: Vec<PatternPart>,
}

/// One part of a pattern, behind its literal beginning.
#[derive(Debug, Clone)]
enum PatternPart {
    /// `**`: any number of folders, none too.
    AnyFolders,
    /// A name, or what stands for some.
    Name {
        /// As it was typed: a name that reads so is meant, whatever its characters.
        literal: String,
        matcher: GlobMatcher,
    },
}

/// Why a pattern cannot be understood.
#[derive(Debug, Error)]
pub enum BadPattern {
    /// A part of it is no pattern.
    #[error("{0}")]
    Glob(#[from] globset::Error),
    /// Its literal beginning is no path.
    #[error(transparent)]
    Path(#[from] BadPath),
}

impl Pattern {
    /// Whether a text has anything in it that could stand for something else.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        text.contains(['*', '?', '['])
    }

    /// Reads a pattern; a text without special characters is one that stands for itself.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let parts: Vec<&str> = text.split('/').collect();
        // The last part is always looked up in its folder's list: there it says what it is.
        let open = parts.iter().position(|part| Self::is_one(part)).unwrap_or(parts.len() - 1);
        let base = FolderPath::parse(&parts[..open].join("/"))?;
        let rest =
            parts[open..].iter().map(|part| PatternPart::parse(part)).collect::<Result<_, _>>()?;
        Ok(Self { base, rest })
    }

    /// Whether it may stand for several names.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.rest.iter().any(|part| match part {
            PatternPart::AnyFolders => true,
            PatternPart::Name { literal, .. } => Self::is_one(literal),
        })
    }

    /// The folder to begin in.
    #[must_use]
    pub fn base(&self) -> &FolderPath {
        &self.base
    }

    /// How many parts follow.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.rest.len()
    }

    /// What a name in a folder may stand for, where the parts from `at` on are still open: for each
    /// way to read it the number of the first part that is open behind it. That number is
    /// [`depth`](Self::depth) where the name is what was looked for.
    #[must_use]
    pub fn next(&self, at: usize, name: &str) -> Vec<usize> {
        let mut ways = Vec::new();
        match self.rest.get(at) {
            None => {}
            Some(PatternPart::AnyFolders) => {
                // The name is one of the folders, or there are none of them.
                ways.push(at);
                ways.extend(self.next(at + 1, name));
            }
            Some(PatternPart::Name { literal, matcher })
                if literal == name || matcher.is_match(name) =>
            {
                ways.push(at + 1);
            }
            Some(PatternPart::Name { .. }) => {}
        }
        ways
    }
}

impl PatternPart {
    fn parse(text: &str) -> Result<Self, BadPattern> {
        if text == "**" {
            return Ok(Self::AnyFolders);
        }
        if !Pattern::is_one(text) {
            FilePath::parse(text)?;
        }
        // Braces and backslashes mean themselves: names have the first, and never the second.
        let literal = text.to_owned();
        let escaped = text.replace('{', "[{]").replace('}', "[}]");
        let matcher = GlobBuilder::new(&escaped).backslash_escape(false).build()?.compile_matcher();
        Ok(Self::Name { literal, matcher })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a pattern stands for a path, walked as a server's folders would be.
    fn stands_for(pattern: &str, path: &str) -> bool {
        let pattern = Pattern::parse(pattern).unwrap();
        let base = pattern.base().as_str();
        let Some(rest) = (if base.is_empty() {
            Some(path)
        } else {
            path.strip_prefix(base).and_then(|rest| rest.strip_prefix('/'))
        }) else {
            return false;
        };
        let mut open = vec![0];
        let names: Vec<&str> = rest.split('/').collect();
        for name in &names {
            open = open.iter().flat_map(|&at| pattern.next(at, name)).collect();
        }
        open.contains(&pattern.depth())
    }

    #[test]
    fn stars_and_questions_stay_within_a_part() {
        assert!(stands_for("*.txt", "secret.txt"));
        assert!(!stands_for("*.txt", "notes/secret.txt"));
        assert!(stands_for("notes/20??/*", "notes/2024/a b"));
        assert!(!stands_for("notes/20??/*", "notes/2024/a/b"));
        assert!(!stands_for("notes/20??/*", "other/2024/a"));
        assert!(stands_for("[ab].txt", "b.txt"));
        assert!(!stands_for("[ab].txt", "c.txt"));
    }

    #[test]
    fn two_stars_are_any_folders_and_none() {
        for path in ["a.md", "x/a.md", "x/y/z/a.md"] {
            assert!(stands_for("**/*.md", path), "{path}");
        }
        assert!(!stands_for("**/*.md", "x/a.txt"));
        assert!(stands_for("x/**/b", "x/b"));
        assert!(stands_for("x/**/b", "x/y/z/b"));
        assert!(!stands_for("x/**/b", "y/b"));
    }

    #[test]
    fn a_name_that_reads_like_a_pattern_is_found_too() {
        assert!(stands_for("a[1].txt", "a[1].txt"));
        assert!(stands_for("a[1].txt", "a1.txt"));
        assert!(stands_for("{x,y}.*", "{x,y}.txt"));
        assert!(!stands_for("{x,y}.*", "x.txt"));
        assert!(stands_for("secret.txt", "secret.txt"));
    }

    #[test]
    fn what_is_neither_a_path_nor_a_pattern_is_refused() {
        for bad in ["", "/etc/*", "../*", "a//b*", "[", "a/", "a\\b"] {
            assert!(Pattern::parse(bad).is_err(), "{bad:?}");
        }
    }
}
