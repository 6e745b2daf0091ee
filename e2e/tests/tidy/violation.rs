//! What a rule says when it is broken.

use std::fmt::{self, Display, Formatter};

#[derive(Debug)]
pub(crate) struct Violation {
    /// The file, folder or package that breaks the rule, below the root of the repository.
    pub(crate) place: String,
    pub(crate) rule: String,
    pub(crate) remedy: String,
}

impl Violation {
    pub(crate) fn new(place: impl Display, rule: impl Display, remedy: impl Display) -> Self {
        Self { place: place.to_string(), rule: rule.to_string(), remedy: remedy.to_string() }
    }
}

impl Display for Violation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}\n    to do: {}", self.place, self.rule, self.remedy)
    }
}

/// # Panics
/// With all violations, unless there are none.
#[track_caller]
pub(crate) fn assert_none(violations: &[Violation]) {
    let list: Vec<_> = violations.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "\n{} violations:\n\n{}\n", list.len(), list.join("\n\n"));
}
