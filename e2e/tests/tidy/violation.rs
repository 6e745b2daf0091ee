//! Violations of the rules, and the assertion that there are none.

use std::fmt::{self, Display, Formatter};

#[derive(Debug)]
pub(crate) struct Violation {
    /// The file, folder or package that breaks the rule, relative to the root of the repository.
    pub(crate) location: String,
    pub(crate) rule: String,
    pub(crate) remedy: String,
}

impl Violation {
    pub(crate) fn new(location: impl Display, rule: impl Display, remedy: impl Display) -> Self {
        Self { location: location.to_string(), rule: rule.to_string(), remedy: remedy.to_string() }
    }
}

impl Display for Violation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}\n    to do: {}", self.location, self.rule, self.remedy)
    }
}

/// Checks that there are no violations.
///
/// # Panics
/// If there are any; the message lists them.
#[track_caller]
pub(crate) fn assert_none(violations: &[Violation]) {
    let list: Vec<_> = violations.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "\n{} violations:\n\n{}\n", list.len(), list.join("\n\n"));
}
