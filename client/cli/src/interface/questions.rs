//! Asks the client's questions: each as a text for a person, and the answer as a value.

use quiver_client::question::{Answer, Question};
use quiver_client::tree::Decision;

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
        Question::Trust { server, fingerprint, not_remembered } => {
            let question = human::trust_question(server, fingerprint, not_remembered.as_deref());
            Some(Answer::Trust(ask_yes_or_no(output, question).await?))
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

async fn confirm(output: &Output, question: String) -> Result<Option<Answer>, Failure> {
    Ok(Some(Answer::Confirm(output.confirm(&question).await?)))
}

async fn ask_yes_or_no(output: &Output, mut question: String) -> Result<bool, Failure> {
    loop {
        match output.ask(&question).await?.map(|answer| answer.to_ascii_lowercase()) {
            Some(answer) if answer == "yes" => return Ok(true),
            Some(answer) if answer != "no" => {
                "Please type yes or no: ".clone_into(&mut question);
            }
            _ => return Ok(false),
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
