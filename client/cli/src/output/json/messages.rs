//! JSON objects on standard error: errors, and warnings about what a script may have to know.

use quiver_client::notice::Notice;
use serde::Serialize;

use super::line;
use crate::failure::Failure;
use crate::output::{human, style};

/// A failure.
#[derive(Debug, Serialize)]
struct ErrorLine<'a> {
    error: &'a str,
    message: String,
    hint: Option<String>,
    exit: u8,
    /// The line of standard input that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
}

/// Something that is no failure.
#[derive(Debug, Serialize)]
struct WarningLine<'a> {
    warning: &'a str,
    message: &'a str,
}

/// A failure as a line, without its line break.
#[must_use]
pub fn error(failure: &Failure) -> String {
    let (cause, number) = match failure {
        Failure::AtLine { number, failure } => (&**failure, Some(*number)),
        failure => (failure, None),
    };
    line(&ErrorLine {
        error: &cause.code(),
        message: human::without_os_codes(cause.to_string()),
        hint: cause.hint(),
        exit: failure.exit() as u8,
        line: number,
    })
}

/// A warning as a line, without its line break. The `note: ` and `warning: ` of the text are for people.
#[must_use]
pub fn warning(code: &str, text: &str) -> String {
    let text = &*style::plain(text);
    let prefix = ["note: ", "warning: "].into_iter().find(|prefix| text.starts_with(prefix));
    let message = prefix.and_then(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    line(&WarningLine { warning: code, message })
}

/// The code of a notice; `None` if it only tells a person who waits what takes time.
#[must_use]
pub fn notice_code(notice: &Notice) -> Option<&'static str> {
    Some(match notice {
        Notice::Connecting { .. } | Notice::Connection(_) | Notice::HashingPrefix { .. } => {
            return None;
        }
        Notice::ServerNotRemembered { .. } => "server_not_remembered",
        Notice::KeyNotStored { .. } => "key_not_stored",
        Notice::JournalNotWritable { .. } => "journal_not_writable",
        Notice::Reconnecting { .. } => "reconnecting",
        Notice::NoAnswer { .. } => "no_answer",
        Notice::AnswersAgain { .. } => "answers_again",
        Notice::Resuming { .. } => "resuming",
        Notice::StartingOver { .. } => "starting_over",
        Notice::AttributesNotSet { .. } => "attributes_not_set",
        Notice::KeptBoth { .. } => "both_kept",
        Notice::AlreadyRunning { .. } => "already_running",
        Notice::NothingToResume => "nothing_to_resume",
    })
}

#[cfg(test)]
mod tests {
    use quiver_client::ClientError;

    use super::*;

    #[test]
    fn an_error_has_its_code_and_exit_code_and_the_line_that_failed() {
        let failure = Failure::usage("what\u{1b}", "do this");
        let text = r#"{"error":"invalid_request","message":"what\u001b","hint":"do this","exit":2"#;
        assert_eq!(error(&failure), format!("{text}}}"));
        assert_eq!(error(&failure.at_line(7)), format!(r#"{text},"line":7}}"#));
        let busy = Failure::from(ClientError::Busy("full".to_owned()));
        assert_eq!(error(&busy), r#"{"error":"busy","message":"full","hint":null,"exit":6}"#);
    }

    #[test]
    fn warnings_lose_the_words_for_people() {
        let expected = r#"{"warning":"x","message":"why"}"#;
        for text in ["why", "note: why", "warning: why", &style::note("why")] {
            assert_eq!(warning("x", text), expected);
        }
    }
}
