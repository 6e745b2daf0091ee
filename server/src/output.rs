//! Prints the output of the server's commands. The only place that prints; a running server logs
//! instead.

use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use quiver_protocol::json_line;
use quiver_protocol::text::{display_path, display_safe};
use quiver_transport::CertificateInfo;
use serde::Serialize;

/// What to do about an error, shown on a line of its own.
#[derive(Debug)]
struct HintText(String);

impl fmt::Display for HintText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Adds a hint to an error: what to do about it.
pub trait Hint<T> {
    /// Adds a hint to the error of this result.
    ///
    /// # Errors
    /// The same error, with the hint.
    fn hint(self, text: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Hint<T> for Result<T, E> {
    fn hint(self, text: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| error.into().context(HintText(text.into())))
    }
}

/// An error as a JSON object.
#[derive(Debug, Serialize)]
struct ErrorLine<'a> {
    error: &'static str,
    message: &'a str,
    hint: Option<&'a str>,
    exit: u8,
}

/// Prints an error to standard error: what failed, why, and what to do.
pub fn error(error: &anyhow::Error, as_json: bool) {
    let text = if as_json { error_line(error) } else { error_text(error) };
    // If standard error is closed, the exit code still tells.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Prints that a command line is not valid.
pub fn usage_error(what: &str, hint: Option<&str>) {
    let line = ErrorLine { error: "invalid_request", message: what, hint, exit: 2 };
    let _ = io::stderr().write_all((json_line(&line) + "\n").as_bytes());
}

fn error_line(error: &anyhow::Error) -> String {
    let (message, hint) = message_and_hint(error);
    json_line(&ErrorLine { error: "other", message: &message, hint, exit: 1 }) + "\n"
}

/// The lines of an error: what failed, why, and what to do.
#[must_use]
pub fn error_text(error: &anyhow::Error) -> String {
    let (message, hint) = message_and_hint(error);
    let mut text = format!("error: {}\n", display_safe(&message));
    if let Some(hint) = hint {
        text.push_str(&format!("hint: {hint}\n"));
    }
    text
}

fn message_and_hint(error: &anyhow::Error) -> (String, Option<&str>) {
    let hint = error.downcast_ref::<HintText>();
    // The chain starts with the hint, which is not a cause.
    let causes = error.chain().skip(usize::from(hint.is_some())).map(ToString::to_string);
    (join_causes(causes), hint.map(|HintText(hint)| hint.as_str()))
}

/// Joins the messages of an error and its causes with colons. Skips a cause whose message the text
/// already ends with: some errors include their cause's message.
fn join_causes(causes: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for cause in causes.filter(|cause| !cause.is_empty()) {
        if !text.ends_with(&cause) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&cause);
        }
    }
    text
}

/// Prints one line of data.
///
/// # Errors
/// If standard output cannot be written.
pub fn line(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{text}").context("cannot write to standard output")
}

/// Prints a generated document.
///
/// # Errors
/// If standard output cannot be written.
pub fn document(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.context("cannot write to standard output")
}

/// Prints a certificate's fingerprint, names and dates.
///
/// # Errors
/// If standard output cannot be written.
pub fn certificate(path: &Path, info: &CertificateInfo) -> anyhow::Result<()> {
    let date = |moment: DateTime<Utc>| moment.format("%Y-%m-%d").to_string();
    line(&format!("certificate: {}", display_path(path)))?;
    line(&format!("fingerprint: {}", info.fingerprint))?;
    line(&format!("names:       {}", display_safe(&info.names.join(", "))))?;
    line(&format!("valid from:  {}", date(info.not_before)))?;
    line(&format!(
        "valid until: {} ({})",
        date(info.not_after),
        time_left(info.not_after, Utc::now())
    ))
}

fn time_left(until: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match (until - now).num_days() {
        _ if until < now => "expired".to_owned(),
        1 => "1 day left".to_owned(),
        days => format!("{days} days left"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_left_are_shown_in_plain_words() {
        let now = Utc::now();
        let after = |hours| time_left(now + chrono::TimeDelta::hours(hours), now);
        assert_eq!(after(-1), "expired");
        assert_eq!(after(1), "0 days left");
        assert_eq!(after(30), "1 day left");
        assert_eq!(after(24 * 90), "90 days left");
    }

    #[test]
    fn a_repeated_cause_is_shown_once() {
        let text = |causes: &[&str]| join_causes(causes.iter().map(ToString::to_string));
        assert_eq!(text(&["cannot listen: in use", "in use"]), "cannot listen: in use");
        assert_eq!(
            text(&["cannot serve files", "", "no such file"]),
            "cannot serve files: no such file"
        );
    }

    #[test]
    fn an_error_keeps_its_causes_and_its_hint() {
        let failed: Result<(), _> = Err(io::Error::other("why"));
        let error = failed.context("what").hint("do this").unwrap_err();
        assert_eq!(error.downcast_ref::<HintText>().unwrap().0, "do this");
        assert_eq!(format!("{error:#}"), "do this: what: why");
    }
}
