//! Questions to the user of the client, as values: each has a number and an answer of its own type. Knows nothing of
//! terminals.

use std::fmt;

use quiver_protocol::{Fingerprint, Secret};
use thiserror::Error;

use crate::tree::Decision;

/// A question's number, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(pub u64);

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Whether to trust a server that is not known yet. [`Answer::Trust`].
    Trust {
        /// The server.
        server: String,
        /// Of the key that it presents.
        fingerprint: Fingerprint,
        /// Why it cannot be remembered, where it cannot.
        not_remembered: Option<String>,
    },
    /// The client's name. [`Answer::Name`].
    Name,
    /// The password of the account. [`Answer::Password`].
    Password,
    /// Whether a file that exists may be replaced. [`Answer::Replace`].
    Replace {
        /// The file, to be shown.
        path: String,
        /// Whether it is the server's.
        on_server: bool,
    },
    /// What becomes of a file of a tree that differs from one that is there. [`Answer::Conflict`].
    Conflict {
        /// The file, to be shown.
        path: String,
    },
}

/// An answer, for a question of the same kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Whether the server is trusted.
    Trust(bool),
    /// The name, not checked yet.
    Name(String),
    /// The password.
    Password(Secret),
    /// Whether the file may be replaced.
    Replace(bool),
    /// What becomes of the file.
    Conflict {
        /// The decision.
        decision: Decision,
        /// Whether it holds for all files that follow.
        for_all: bool,
    },
}

/// Why an answer was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// The question is settled, or there was never one with this number.
    #[error("no such question is open")]
    Settled,
    /// The answer is one to another kind of question.
    #[error("this is no answer to that question")]
    OtherKind,
}

impl Answer {
    /// Whether it answers a question of this kind.
    pub(crate) fn fits(&self, question: &Question) -> bool {
        matches!(
            (self, question),
            (Self::Trust(_), Question::Trust { .. })
                | (Self::Name(_), Question::Name)
                | (Self::Password(_), Question::Password)
                | (Self::Replace(_), Question::Replace { .. })
                | (Self::Conflict { .. }, Question::Conflict { .. })
        )
    }
}

impl fmt::Display for QuestionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
