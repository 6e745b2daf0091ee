//! Asks the client's questions: each as a text for a person, and the answer as a value.

use quiver_client::question::{Answer, Question};
use quiver_client::tree::Decision;
use quiver_protocol::Fingerprint;

use crate::failure::Failure;
use crate::output::human::questions;
use crate::output::{Output, human};
use crate::ui_mode::UiMode;

/// Asks the person a question; `None` without an answer.
pub(super) async fn ask_question(
    output: &Output,
    question: &Question,
) -> Result<Option<Answer>, Failure> {
    Ok(match question {
        question if output.json().is_on() && !is_asked_beside_json(question) => None,
        Question::Trust { server, fingerprint, not_remembered } => {
            let question = human::trust_question(server, fingerprint, not_remembered.as_deref());
            Some(ask_trust(output, question).await?)
        }
        Question::Name => output.ask("Enter your client name: ").await?.map(Answer::Name),
        Question::Password => output.ask_hidden("Password: ").await?.map(Answer::Password),
        Question::Replace { path, on_server } => {
            let place = if *on_server { " on the server" } else { "" };
            let question = format!("{path} exists{place} already. Replace it? [y/N] ");
            Some(Answer::Replace(output.confirm(&question).await?))
        }
        // The prompt cannot ask on the line that is being typed.
        Question::Conflict { .. } if output.mode() == UiMode::Prompt => None,
        Question::Conflict { path } => Some(ask_conflict(output, path).await?),
        Question::OtherMachine { name, presented, known } => {
            confirm(output, questions::other_machine_question(name, presented, known)).await?
        }
        Question::CompareDigits { name, digits } => {
            confirm(output, questions::digits_question(name, digits)).await?
        }
        Question::MoreThanOffered { from, offered, found } => {
            confirm(output, questions::more_question(from, *offered, *found)).await?
        }
        Question::ConnectDirectly { name, key } => {
            confirm(output, questions::connect_question(name, key)).await?
        }
    })
}

/// Whether a question is asked although the command prints JSON: those of connecting, whose answers do not change what
/// the command does, and the digits, which are what the command is for.
fn is_asked_beside_json(question: &Question) -> bool {
    matches!(
        question,
        Question::Trust { .. }
            | Question::Name
            | Question::Password
            | Question::CompareDigits { .. }
    )
}

async fn confirm(output: &Output, question: String) -> Result<Option<Answer>, Failure> {
    Ok(Some(Answer::Confirm(output.confirm(&question).await?)))
}

async fn ask_trust(output: &Output, mut question: String) -> Result<Answer, Failure> {
    loop {
        let Some(answer) = output.ask(&question).await? else { return Ok(Answer::Trust(false)) };
        if let Some(answer) = parse_trust(&answer) {
            return Ok(answer);
        }
        "Please type yes or no, or paste the whole fingerprint: ".clone_into(&mut question);
    }
}

/// `yes`, `no`, or a fingerprint, also in groups and in capitals as other programs show them.
fn parse_trust(answer: &str) -> Option<Answer> {
    let answer = answer.to_ascii_lowercase();
    match answer.as_str() {
        "yes" => Some(Answer::Trust(true)),
        "no" => Some(Answer::Trust(false)),
        fingerprint => {
            let separators = |c: char| c == ':' || c.is_whitespace();
            let digits = fingerprint.replace(separators, "");
            Fingerprint::parse(&digits).map(Answer::Fingerprint)
        }
    }
}

async fn ask_conflict(output: &Output, path: &str) -> Result<Answer, Failure> {
    let question = format!(
        "{path} exists with different content. [r]eplace it, keep [b]oth, or [s]kip it? \
         (a capital letter also applies to all that follow) "
    );
    let answer = output.ask(&question).await?.unwrap_or_default();
    let decision = match answer.to_ascii_lowercase().as_str() {
        "r" | "replace" => Decision::Replace,
        "b" | "both" => Decision::KeepBoth,
        _ => Decision::Skip,
    };
    Ok(Answer::Conflict { decision, for_all: answer.starts_with(char::is_uppercase) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_an_answer_in_every_spelling_and_only_as_a_whole() {
        let fingerprint = Fingerprint([0xab; 32]);
        for typed in ["ab".repeat(32), "AB:".repeat(31) + "AB", "abab ".repeat(16)] {
            assert_eq!(
                parse_trust(typed.trim()),
                Some(Answer::Fingerprint(fingerprint)),
                "{typed}"
            );
        }
        for typed in ["", "y", "yes please", "abab", &"ab".repeat(31), &"ab".repeat(33)] {
            assert_eq!(parse_trust(typed), None, "{typed}");
        }
        assert_eq!(parse_trust("YES"), Some(Answer::Trust(true)));
        assert_eq!(parse_trust("No"), Some(Answer::Trust(false)));
    }
}
