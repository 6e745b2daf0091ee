//! Patterns for names on the server: `*.txt`, `notes/20??/*`, `**/*.md`. Only matches names; lists
//! nothing.

use globset::{GlobBuilder, GlobMatcher};
use quiver_protocol::path::BadPath;
use quiver_protocol::{FilePath, FolderPath};

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
        /// What else matches; `None` if the part has no wildcards, or is no valid pattern.
        matcher: Option<GlobMatcher>,
    },
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
    /// [`BadPath`]: a part without wildcards is no valid name.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        let rest = text.split('/').map(PatternPart::parse).collect::<Result<_, _>>()?;
        Ok(Self { base: FolderPath::ROOT, rest }.join_literals())
    }

    /// The pattern whose parts match only the names that are spelled so.
    #[must_use]
    pub fn as_literal(mut self) -> Self {
        for part in &mut self.rest {
            let literal = match part {
                PatternPart::AnyFolders => "**".to_owned(),
                PatternPart::Name { literal, .. } => std::mem::take(literal),
            };
            *part = PatternPart::Name { literal, matcher: None };
        }
        self.join_literals()
    }

    /// Moves the literal parts at the beginning to the base, but not the last part: that is always
    /// looked up in the list of its folder, which tells whether it is a file or a folder.
    fn join_literals(mut self) -> Self {
        while let [PatternPart::Name { literal, matcher: None }, _, ..] = self.rest.as_slice() {
            let Ok(below) = self.base.join(literal) else { break };
            self.base = below.into();
            self.rest.remove(0);
        }
        self
    }

    /// Whether it may match several names.
    #[must_use]
    pub fn may_match_many(&self) -> bool {
        self.rest.iter().any(PatternPart::may_match_many)
    }

    /// The path up to the first part with wildcards, as it is spelled: if there is something of this
    /// name, [`take_literally`](Self::take_literally). `None` if that part is `**`, or missing.
    #[must_use]
    pub fn literal_path(&self) -> Option<FilePath> {
        match self.rest.first()? {
            PatternPart::Name { literal, matcher: Some(_) } => self.base.join(literal).ok(),
            PatternPart::Name { .. } | PatternPart::AnyFolders => None,
        }
    }

    /// The pattern whose first part with wildcards, that of [`literal_path`](Self::literal_path),
    /// matches only the name that is spelled so.
    #[must_use]
    pub fn take_literally(mut self) -> Self {
        if let Some(PatternPart::Name { matcher, .. }) = self.rest.first_mut() {
            *matcher = None;
        }
        self.join_literals()
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

    /// Whether the part at index `at` is the last one, and matches every name.
    #[must_use]
    pub fn matches_every_name(&self, at: usize) -> bool {
        let is_star = |part: &PatternPart| matches!(part, PatternPart::Name { literal, matcher: Some(_) } if literal == "*");
        at + 1 == self.rest.len() && self.rest.last().is_some_and(is_star)
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
                // The name is one of the folders, or `**` matches no folder. At the end it matches every name below it.
                positions.push(at);
                if at + 1 == self.rest.len() {
                    positions.push(at + 1);
                } else {
                    positions.extend(self.advance(at + 1, name));
                }
            }
            Some(PatternPart::Name { literal, matcher })
                if literal == name
                    || matcher.as_ref().is_some_and(|matcher| matcher.is_match(name)) =>
            {
                positions.push(at + 1);
            }
            Some(PatternPart::Name { .. }) => {}
        }
        positions
    }
}

impl PatternPart {
    fn parse(text: &str) -> Result<Self, BadPath> {
        if text == "**" {
            return Ok(Self::AnyFolders);
        }
        let literal = text.to_owned();
        if !Pattern::has_wildcards(text) {
            FilePath::parse(text)?;
            return Ok(Self::Name { literal, matcher: None });
        }
        // Braces match themselves, since names may have them; so do backslashes, which no name has.
        let escaped = text.replace('{', "[{]").replace('}', "[}]");
        let glob = GlobBuilder::new(&escaped).backslash_escape(false).build();
        // A name such as `a [1.pdf` is no pattern.
        Ok(Self::Name { literal, matcher: glob.ok().map(|glob| glob.compile_matcher()) })
    }

    fn may_match_many(&self) -> bool {
        matches!(self, Self::AnyFolders | Self::Name { matcher: Some(_), .. })
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
        for path in ["x/a", "x/y/b"] {
            assert!(matches_path("**", path) && matches_path("x/**", path), "{path}");
        }
        assert!(!matches_path("x/**", "y/a"));
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
    fn an_invalid_pattern_is_a_name() {
        assert!(matches_path("a [1.pdf", "a [1.pdf"));
        assert!(!matches_path("a [1.pdf", "a 1.pdf"));
        assert!(matches_path("Photos [2024/*.jpg", "Photos [2024/a.jpg"));
        assert!(!Pattern::parse("a [1.pdf").unwrap().may_match_many());
    }

    #[test]
    fn a_part_that_is_taken_literally_matches_only_its_spelling() {
        let pattern = Pattern::parse("a*/b/c?/d*").unwrap();
        assert_eq!(pattern.literal_path().unwrap().as_str(), "a*");
        let pattern = pattern.take_literally();
        assert_eq!((pattern.base().as_str(), pattern.part_count()), ("a*/b", 2));
        assert_eq!(pattern.literal_path().unwrap().as_str(), "a*/b/c?");
        let pattern = pattern.take_literally().take_literally();
        assert_eq!((pattern.base().as_str(), pattern.part_count()), ("a*/b/c?", 1));
        assert_eq!(pattern.literal_path(), None);
        assert_eq!((pattern.advance(0, "d*"), pattern.advance(0, "dx")), (vec![1], vec![]));
        let literal = Pattern::parse("a*/**/c").unwrap().as_literal();
        assert_eq!((literal.base().as_str(), literal.may_match_many()), ("a*/**", false));
        assert_eq!(Pattern::parse("**/a*").unwrap().literal_path(), None);
        assert_eq!(Pattern::parse("a/b").unwrap().literal_path(), None);
    }

    #[test]
    fn an_invalid_path_is_rejected() {
        for bad in ["", "/etc/*", "../*", "a//b*", "a/", "a\\b"] {
            assert!(Pattern::parse(bad).is_err(), "{bad:?}");
        }
    }
}
