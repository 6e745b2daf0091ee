//! The client's questions, as the page shows them.

use quiver_client::question::Question;
use quiver_protocol::Fingerprint;

use crate::views::QuestionContent;

/// A question as the page shows it.
pub(super) fn content(question: &Question) -> QuestionContent {
    let texts = |keys: &[Fingerprint]| keys.iter().map(ToString::to_string).collect();
    match question.clone() {
        Question::Trust { server, fingerprint, not_remembered } => {
            let fingerprint = fingerprint.to_string();
            QuestionContent::Trust { server, fingerprint, not_remembered }
        }
        Question::Name => QuestionContent::Name,
        Question::Password => QuestionContent::Password,
        Question::Replace { path, on_server } => QuestionContent::Replace { path, on_server },
        Question::Conflict { path } => QuestionContent::Conflict { path },
        Question::OtherMachine { name, presented, known } => {
            let (presented, known) = (presented.to_string(), texts(&known));
            QuestionContent::OtherMachine { name, presented, known }
        }
        Question::CompareDigits { name, digits } => QuestionContent::CompareDigits { name, digits },
        Question::MoreThanOffered { from, offered, found } => {
            QuestionContent::MoreThanOffered { from, offered, found }
        }
        Question::ConnectDirectly { name, key } => {
            QuestionContent::ConnectDirectly { name, key: key.to_string() }
        }
    }
}
