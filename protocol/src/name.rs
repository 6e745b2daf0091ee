//! What a client may call itself.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits;

/// A checked client name: `[A-Za-z0-9][A-Za-z0-9._-]{0,31}`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientName(String);

/// A name that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a name has 1 to 32 characters: letters A to Z, digits, dot, hyphen and underscore, the first a letter or a digit"
)]
pub struct BadName;

impl ClientName {
    /// Checks a name at the door.
    ///
    /// # Errors
    /// [`BadName`] for whatever does not match the pattern; nothing is repaired.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let [first, rest @ ..] = text.as_bytes() else { return Err(BadName) };
        let fits = text.len() <= limits::NAME
            && first.is_ascii_alphanumeric()
            && rest.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
        if fits { Ok(Self(text.to_owned())) } else { Err(BadName) }
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form under which names are unique: `Ron` and `ron` are one name.
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
    fn names_are_letters_digits_and_three_marks() {
        for good in ["R", "Ron", "7", "a.b-c_d", &"x".repeat(32)] {
            assert_eq!(ClientName::parse(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(33);
        for bad in ["", " ", ".a", "-a", "_a", "a b", "a/b", "é", "a\n", "a\u{202e}b", &long] {
            assert_eq!(ClientName::parse(bad), Err(BadName), "{bad:?}");
        }
    }

    #[test]
    fn case_makes_no_other_name() {
        assert_eq!(
            ClientName::parse("RoN").unwrap().key(),
            ClientName::parse("rOn").unwrap().key()
        );
    }
}
