//! Patterns for names on the server: `*.txt`, `notes/20??/*`, `**/*.md`. Only matches names; lists
//! nothing.

use globset::{GlobBuilder, GlobMatcher};
use quiver_protocol::path::BadPath;
use quiver_protocol::{FilePath, FolderPath};
use thiserror::Error;

/// A path whose parts may have wildcards.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// The literal folder before the first part with a wildcard.
    base: FolderPath,
    rest: Vec<PatternPart>,
}

/// A part of a pattern, after its literal beginning.
#[derive(Debug, Clone)]
enum PatternPart {
    /// `**`: any number of folders, including none.
    AnyFolders,
    /// A name, or a pattern for names.
    Name {
        /// The part as typed: a name that is spelled exactly so matches, whatever its characters.
        literal: String,
        matcher: GlobMatcher,
    },
}

/// Why a pattern is invalid.
#[derive(Debug, Error)]
pub enum BadPattern {
    /// A part is not a valid pattern.
    #[error("{0}")]
    Glob(#[from] globset::Error),
    /// The literal beginning is not a valid path.
    #[error(transparent)]
    Path(#[from] BadPath),
}

impl Pattern {
    /// Whether a text has characters that make it a pattern.
    #[must_use]
    pub fn has_wildcards(text: &str) -> bool {
        text.contains(['*', '?', '['])
    }

    /// Parses a pattern. A text without wildcards matches itself.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let parts: Vec<&str> = text.split('/').collect();
        // The last part is always looked up in the list of its folder, which tells whether it is a
        // file or a folder.
        let first_wildcard =
            parts.iter().position(|part| Self::has_wildcards(part)).unwrap_or(parts.len() - 1);
        let base = FolderPath::parse(&parts[..first_wildcard].join("/"))?;
        let rest = parts[first_wildcard..]
            .iter()
            .map(|part| PatternPart::parse(part))
            .collect::<Result<_, _>>()?;
        Ok(Self { base, rest })
    }

    /// Whether it may match several names.
    #[must_use]
    pub fn may_match_many(&self) -> bool {
        self.rest.iter().any(|part| match part {
            PatternPart::AnyFolders => true,
            PatternPart::Name { literal, .. } => Self::has_wildcards(literal),
        })
    }

    /// Returns the folder where the search starts.
    #[must_use]
    pub fn base(&self) -> &FolderPath {
        &self.base
    }

    /// Returns the number of parts after the base.
    #[must_use]
    pub fn part_count(&self) -> usize {
        self.rest.len()
    }

    /// Matches a name against the part at index `at`. Returns the index of the next part for each
    /// possible match; [`part_count`](Self::part_count) means that the name matches the whole
    /// pattern.
    #[must_use]
    pub fn advance(&self, at: usize, name: &str) -> Vec<usize> {
        let mut positions = Vec::new();
        match self.rest.get(at) {
            None => {}
            Some(PatternPart::AnyFolders) => {
                // The name is one of the folders, or `**` matches no folder.
                positions.push(at);
                positions.extend(self.advance(at + 1, name));
            }
            Some(PatternPart::Name { literal, matcher })
                if literal == name || matcher.is_match(name) =>
            {
                positions.push(at + 1);
            }
            Some(PatternPart::Name { .. }) => {}
        }
        positions
    }
}

impl PatternPart {
    fn parse(text: &str) -> Result<Self, BadPattern> {
        if text == "**" {
            return Ok(Self::AnyFolders);
        }
        if !Pattern::has_wildcards(text) {
            FilePath::parse(text)?;
        }
        // Braces match themselves, since names may have them; so do backslashes, which no name has.
        let literal = text.to_owned();
        let escaped = text.replace('{', "[{]").replace('}', "[}]");
        let matcher = GlobBuilder::new(&escaped).backslash_escape(false).build()?.compile_matcher();
        Ok(Self::Name { literal, matcher })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a pattern matches a path, searched folder by folder.
    fn matches_path(pattern: &str, path: &str) -> bool {
        let pattern = Pattern::parse(pattern).unwrap();
        let base = pattern.base().as_str();
        let Some(rest) = (if base.is_empty() {
            Some(path)
        } else {
            path.strip_prefix(base).and_then(|rest| rest.strip_prefix('/'))
        }) else {
            return false;
        };
        let mut positions = vec![0];
        let names: Vec<&str> = rest.split('/').collect();
        for name in &names {
            positions = positions.iter().flat_map(|&at| pattern.advance(at, name)).collect();
        }
        positions.contains(&pattern.part_count())
    }

    #[test]
    fn a_star_and_a_question_mark_match_within_a_part() {
        assert!(matches_path("*.txt", "secret.txt"));
        assert!(!matches_path("*.txt", "notes/secret.txt"));
        assert!(matches_path("notes/20??/*", "notes/2024/a b"));
        assert!(!matches_path("notes/20??/*", "notes/2024/a/b"));
        assert!(!matches_path("notes/20??/*", "other/2024/a"));
        assert!(matches_path("[ab].txt", "b.txt"));
        assert!(!matches_path("[ab].txt", "c.txt"));
    }

    #[test]
    fn two_stars_match_any_number_of_folders() {
        for path in ["a.md", "x/a.md", "x/y/z/a.md"] {
            assert!(matches_path("**/*.md", path), "{path}");
        }
        assert!(!matches_path("**/*.md", "x/a.txt"));
        assert!(matches_path("x/**/b", "x/b"));
        assert!(matches_path("x/**/b", "x/y/z/b"));
        assert!(!matches_path("x/**/b", "y/b"));
    }

    #[test]
    fn a_name_spelled_like_the_pattern_matches() {
        assert!(matches_path("a[1].txt", "a[1].txt"));
        assert!(matches_path("a[1].txt", "a1.txt"));
        assert!(matches_path("{x,y}.*", "{x,y}.txt"));
        assert!(!matches_path("{x,y}.*", "x.txt"));
        assert!(matches_path("secret.txt", "secret.txt"));
    }

    #[test]
    fn an_invalid_path_or_pattern_is_rejected() {
        for bad in ["", "/etc/*", "../*", "a//b*", "[", "a/", "a\\b"] {
            assert!(Pattern::parse(bad).is_err(), "{bad:?}");
        }
    }
}
