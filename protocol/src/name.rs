//! Client names.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits;

/// A valid client name: `[A-Za-z0-9][A-Za-z0-9._-]{0,31}`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientName(String);

/// A text that is not a valid client name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a name has 1 to 32 characters: letters A to Z, digits, dot, hyphen and underscore, the first a letter or a digit"
)]
pub struct BadName;

impl ClientName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`BadName`] if the text does not match the pattern. It is never corrected.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let [first, rest @ ..] = text.as_bytes() else { return Err(BadName) };
        let is_valid = text.len() <= limits::NAME
            && first.is_ascii_alphanumeric()
            && rest.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
        if is_valid { Ok(Self(text.to_owned())) } else { Err(BadName) }
    }

    /// The name as text, with its original case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which names are compared: `Ron` and `ron` are the same name.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl TryFrom<String> for ClientName {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        Self::parse(&text)
    }
}

impl From<ClientName> for String {
    fn from(name: ClientName) -> Self {
        name.0
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_letters_digits_dots_hyphens_and_underscores() {
        for good in ["R", "Ron", "7", "a.b-c_d", &"x".repeat(32)] {
            assert_eq!(ClientName::parse(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(33);
        for bad in ["", " ", ".a", "-a", "_a", "a b", "a/b", "é", "a\n", "a\u{202e}b", &long] {
            assert_eq!(ClientName::parse(bad), Err(BadName), "{bad:?}");
        }
    }

    #[test]
    fn names_that_differ_only_in_case_have_the_same_key() {
        assert_eq!(
            ClientName::parse("RoN").unwrap().key(),
            ClientName::parse("rOn").unwrap().key()
        );
    }
}
