//! Validated paths of files and folders on a server. No file system access in here.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

use crate::limits;

/// The path of a file or folder below a server's root: parts joined by `/`, each safe to open.
///
/// Bad paths are rejected, never corrected: the server opens exactly the requested path.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilePath(String);

/// A folder: a [`FilePath`], or the root, which is the empty string on the wire.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FolderPath(Option<FilePath>);

/// Why a path was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadPath {
    /// The path is empty.
    #[error("the path is empty")]
    Empty,
    /// It starts with `/`: paths are relative to the server's folder.
    #[error("paths are relative to the server's folder: no leading slash")]
    Absolute,
    /// A part is empty: `a//b` or `a/`.
    #[error("the path has an empty part")]
    EmptyPart,
    /// A part is `.` or `..`.
    #[error("the parts . and .. are not allowed")]
    DotPart,
    /// It contains a backslash, which some systems take for a separator.
    #[error("backslashes are not allowed: parts are joined by /")]
    Backslash,
    /// It contains a control character.
    #[error("control characters are not allowed")]
    ControlCharacter,
    /// A part is longer than file systems allow.
    #[error("a part of the path is longer than 255 bytes")]
    PartTooLong,
    /// The path is longer than file systems allow.
    #[error("the path is longer than 4096 bytes")]
    TooLong,
    /// A part ends in a dot or a space, which Windows drops.
    #[error("a part of the path ends in a dot or a space")]
    TrailingDotOrSpace,
    /// A part is the name of a device on Windows.
    #[error("a part of the path is a reserved device name")]
    ReservedName,
}

impl FilePath {
    /// Checks a path.
    ///
    /// # Errors
    /// [`BadPath`]: the first rule that the path breaks.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        if text.is_empty() {
            return Err(BadPath::Empty);
        }
        if text.len() > limits::PATH {
            return Err(BadPath::TooLong);
        }
        if text.starts_with('/') {
            return Err(BadPath::Absolute);
        }
        text.split('/').try_for_each(check_part)?;
        Ok(Self(text.to_owned()))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts, outermost first; at least one.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The last part: the name of the file or folder.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The folder that contains it.
    #[must_use]
    pub fn parent(&self) -> FolderPath {
        FolderPath(self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned())))
    }

    /// The first part, and the path below it if there is one.
    #[must_use]
    pub fn split_first(&self) -> (&str, Option<Self>) {
        match self.0.split_once('/') {
            Some((first, below)) => (first, Some(Self(below.to_owned()))),
            None => (&self.0, None),
        }
    }
}

impl FolderPath {
    /// The server's root.
    pub const ROOT: Self = Self(None);

    /// Checks a folder's path; the empty string is the root.
    ///
    /// # Errors
    /// [`BadPath`], as for a [`FilePath`].
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        if text.is_empty() {
            Ok(Self::ROOT)
        } else {
            FilePath::parse(text).map(|path| Self(Some(path)))
        }
    }

    /// The path as text; empty for the root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", FilePath::as_str)
    }

    /// Whether it is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_none()
    }

    /// The parts, outermost first; none for the root.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(FilePath::parts)
    }

    /// The first part, and the path below it; `None` for the root.
    #[must_use]
    pub fn split_first(&self) -> Option<(&str, Self)> {
        let (first, below) = self.0.as_ref()?.split_first();
        Some((first, Self(below)))
    }

    /// The path of `name` in this folder.
    ///
    /// # Errors
    /// [`BadPath`] if the name is not a valid part, or the joined path is too long.
    pub fn join(&self, name: &str) -> Result<FilePath, BadPath> {
        check_part(name)?;
        match &self.0 {
            None => FilePath::parse(name),
            Some(folder) => FilePath::parse(&format!("{folder}/{name}")),
        }
    }
}

impl From<FilePath> for FolderPath {
    fn from(path: FilePath) -> Self {
        Self(Some(path))
    }
}

fn check_part(part: &str) -> Result<(), BadPath> {
    if part.is_empty() {
        return Err(BadPath::EmptyPart);
    }
    if part == "." || part == ".." {
        return Err(BadPath::DotPart);
    }
    if part.contains('\\') {
        return Err(BadPath::Backslash);
    }
    if part.contains('/') {
        return Err(BadPath::Absolute);
    }
    if part.chars().any(char::is_control) {
        return Err(BadPath::ControlCharacter);
    }
    if part.len() > limits::PATH_PART {
        return Err(BadPath::PartTooLong);
    }
    if part.ends_with(['.', ' ']) {
        return Err(BadPath::TrailingDotOrSpace);
    }
    if is_reserved(part) {
        return Err(BadPath::ReservedName);
    }
    Ok(())
}

/// Whether Windows opens a device for this name. It ignores the extension and spaces before it.
fn is_reserved(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).trim_end_matches(' ');
    let is_device = |device: &str| stem.eq_ignore_ascii_case(device);
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].into_iter().any(is_device) {
        return true;
    }
    let Some((prefix, rest)) = stem.split_at_checked(3) else { return false };
    let mut digits = rest.chars();
    ["COM", "LPT"].into_iter().any(|device| prefix.eq_ignore_ascii_case(device))
        && matches!((digits.next(), digits.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Serialize for FilePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Serialize for FolderPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn valid_paths_are_accepted_unchanged() {
        let long = "é".repeat(127);
        for good in [
            "a",
            "a/b/c",
            "with space.txt",
            "\"q\"'s",
            "🏹.txt",
            "-rf",
            ".hidden",
            "..a",
            "COM10",
            "CONSOLE",
            &long,
        ] {
            assert_eq!(FilePath::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(FilePath::parse("a/b/c.txt").unwrap().file_name(), "c.txt");
    }

    #[test]
    fn a_bad_path_is_rejected_with_the_rule_that_it_breaks() {
        let long_part = "x".repeat(256);
        let long = "x/".repeat(2049) + "x";
        for (bad, rule) in [
            ("", BadPath::Empty),
            ("/etc/passwd", BadPath::Absolute),
            ("//etc", BadPath::Absolute),
            ("a/", BadPath::EmptyPart),
            ("a//b", BadPath::EmptyPart),
            (".", BadPath::DotPart),
            ("../s", BadPath::DotPart),
            ("a/../../s", BadPath::DotPart),
            ("a/./b", BadPath::DotPart),
            ("..\\s", BadPath::Backslash),
            ("a\0b", BadPath::ControlCharacter),
            ("a\u{85}b", BadPath::ControlCharacter),
            ("a\x7f", BadPath::ControlCharacter),
            (&long_part, BadPath::PartTooLong),
            (&long, BadPath::TooLong),
            ("a.", BadPath::TrailingDotOrSpace),
            ("a /b", BadPath::TrailingDotOrSpace),
            ("nul", BadPath::ReservedName),
            ("a/COM1", BadPath::ReservedName),
            ("aux.txt", BadPath::ReservedName),
            ("lpt².tar.gz", BadPath::ReservedName),
            ("Con .txt", BadPath::ReservedName),
            ("conin$", BadPath::ReservedName),
        ] {
            assert_eq!(FilePath::parse(bad), Err(rule), "{bad:?}");
        }
    }

    #[test]
    fn the_root_is_the_empty_folder_path_and_not_a_file() {
        assert_eq!(FolderPath::parse("").unwrap(), FolderPath::ROOT);
        assert_eq!(FolderPath::ROOT.join("a").unwrap().as_str(), "a");
        assert_eq!(FolderPath::parse("a/b").unwrap().join("c").unwrap().as_str(), "a/b/c");
        for bad in ["", "..", "a/b", "a\\b"] {
            assert!(FolderPath::ROOT.join(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_path_is_split_into_its_first_part_and_the_path_below_it() {
        let path = |text| FilePath::parse(text).unwrap();
        assert_eq!(path("a").split_first(), ("a", None));
        assert_eq!(path("a/b/c").split_first(), ("a", Some(path("b/c"))));
        let folder = |text| FolderPath::parse(text).unwrap();
        assert_eq!(FolderPath::ROOT.split_first(), None);
        assert_eq!(folder("a").split_first(), Some(("a", FolderPath::ROOT)));
        assert_eq!(folder("a/b/c").split_first(), Some(("a", folder("b/c"))));
    }

    proptest! {
        #[test]
        fn an_accepted_path_never_leaves_the_root(text in "[a./\\\\ \\x00-\\x1f]{0,12}") {
            if let Ok(path) = FilePath::parse(&text) {
                for part in path.parts() {
                    prop_assert!(!part.is_empty() && part != "." && part != ".." && !part.contains('\\'));
                }
            }
        }
    }
}
