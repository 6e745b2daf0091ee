//! Questions to the user, as values. Each has an id and a type of answer. Independent of terminals.

use std::fmt;

use quiver_protocol::{ClientName, Fingerprint, Secret};
use thiserror::Error;

use crate::tree::Decision;

/// A question's id, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(pub u64);

/// A question to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Whether to trust an unknown server. Answered by [`Answer::Trust`] or [`Answer::Fingerprint`].
    Trust {
        /// The server.
        server: String,
        /// The fingerprint of the server's key.
        fingerprint: Fingerprint,
        /// Why the answer cannot be remembered; `None` if it can.
        not_remembered: Option<String>,
    },
    /// The client's name. Answered by [`Answer::Name`].
    Name,
    /// The password of the account. Answered by [`Answer::Password`].
    Password,
    /// Whether an existing file may be replaced. Answered by [`Answer::Replace`].
    Replace {
        /// The file's path for display.
        path: String,
        /// Whether the file is on the server.
        on_server: bool,
    },
    /// What to do with a file of a tree whose target exists with other content. Answered by [`Answer::Conflict`].
    Conflict {
        /// The file's path for display.
        path: String,
    },
    /// Whether an unknown key of an account is another machine of the same person. Answered by
    /// [`Answer::Confirm`].
    OtherMachine {
        /// The name of the account.
        name: ClientName,
        /// The key that it shows.
        presented: Fingerprint,
        /// The known keys of the account.
        known: Vec<Fingerprint>,
    },
    /// Whether the other person sees the same digits. Answered by [`Answer::Confirm`].
    CompareDigits {
        /// The other client.
        name: ClientName,
        /// Twelve digits, in groups of four.
        digits: String,
    },
    /// Whether to take more than was offered. Answered by [`Answer::Confirm`].
    MoreThanOffered {
        /// The sender.
        from: ClientName,
        /// Bytes that were offered.
        offered: u64,
        /// Bytes that the sender lists now.
        found: u64,
    },
    /// Whether a client may learn this one's address, for a direct connection. Answered by [`Answer::Confirm`].
    ConnectDirectly {
        /// The other client.
        name: ClientName,
        /// Its key.
        key: Fingerprint,
    },
}

/// The answer to a question of the same kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Whether the server is trusted.
    Trust(bool),
    /// The fingerprint that the server must have.
    Fingerprint(Fingerprint),
    /// The name, not validated.
    Name(String),
    /// The password.
    Password(Secret),
    /// Whether the file may be replaced.
    Replace(bool),
    /// Yes or no.
    Confirm(bool),
    /// What to do with the file.
    Conflict {
        /// The decision.
        decision: Decision,
        /// Whether the decision applies to all following files.
        for_all: bool,
    },
}

/// Why an answer was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// No open question has this id.
    #[error("there is no such open question")]
    Settled,
    /// The answer is for another kind of question.
    #[error("the answer does not match the question")]
    WrongKind,
}

impl Answer {
    /// Whether this answer is of the question's kind.
    pub(crate) fn matches(&self, question: &Question) -> bool {
        matches!(
            (self, question),
            (Self::Trust(_) | Self::Fingerprint(_), Question::Trust { .. })
                | (Self::Name(_), Question::Name)
                | (Self::Password(_), Question::Password)
                | (Self::Replace(_), Question::Replace { .. })
                | (Self::Conflict { .. }, Question::Conflict { .. })
                | (
                    Self::Confirm(_),
                    Question::OtherMachine { .. }
                        | Question::CompareDigits { .. }
                        | Question::MoreThanOffered { .. }
                        | Question::ConnectDirectly { .. }
                )
        )
    }
}

impl fmt::Display for QuestionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
