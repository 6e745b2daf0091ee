//! What the server's commands print. The only place that does; a running server logs instead.

use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use quiver_protocol::text::{display_path, display_safe};
use quiver_transport::CertificateInfo;

/// What to do about an error: shown on a line of its own.
#[derive(Debug)]
struct HintText(String);

impl fmt::Display for HintText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Adds what to do about it.
pub trait Hint<T> {
    /// The same result; its error knows what to do next.
    ///
    /// # Errors
    /// The same.
    fn hint(self, advice: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Hint<T> for Result<T, E> {
    fn hint(self, advice: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| error.into().context(HintText(advice.into())))
    }
}

/// Shows an error: what failed, why, and what to do.
pub fn error(error: &anyhow::Error) {
    // Where even standard error is closed, the exit code still tells.
    let _ = io::stderr().write_all(error_text(error).as_bytes());
}

/// The lines that say what failed, why, and what to do.
#[must_use]
pub fn error_text(error: &anyhow::Error) -> String {
    let advice = error.downcast_ref::<HintText>();
    // The chain begins with the advice, which is not a cause.
    let causes = error.chain().skip(usize::from(advice.is_some())).map(ToString::to_string);
    let mut text = format!("error: {}\n", display_safe(&joined(causes)));
    if let Some(HintText(advice)) = advice {
        text.push_str(&format!("hint: {advice}\n"));
    }
    text
}

/// What failed, and why, and why that. Some errors say themselves what their cause says: once is enough.
fn joined(causes: impl Iterator<Item = String>) -> String {
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
/// Where standard output does not take it.
pub fn line(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{text}").context("cannot write to standard output")
}

/// Prints what a certificate says.
///
/// # Errors
/// Where standard output does not take it.
pub fn certificate(path: &Path, info: &CertificateInfo) -> anyhow::Result<()> {
    let date = |moment: DateTime<Utc>| moment.format("%Y-%m-%d").to_string();
    line(&format!("certificate: {}", display_path(path)))?;
    line(&format!("fingerprint: {}", info.fingerprint))?;
    line(&format!("names:       {}", display_safe(&info.names.join(", "))))?;
    line(&format!("valid from:  {}", date(info.not_before)))?;
    line(&format!("valid until: {} ({})", date(info.not_after), left(info.not_after, Utc::now())))
}

fn left(until: DateTime<Utc>, now: DateTime<Utc>) -> String {
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
    fn days_left_are_told_as_people_say_it() {
        let now = Utc::now();
        let after = |hours| left(now + chrono::TimeDelta::hours(hours), now);
        assert_eq!(after(-1), "expired");
        assert_eq!(after(1), "0 days left");
        assert_eq!(after(30), "1 day left");
        assert_eq!(after(24 * 90), "90 days left");
    }

    #[test]
    fn a_cause_is_told_once() {
        let told = |causes: &[&str]| joined(causes.iter().map(ToString::to_string));
        assert_eq!(told(&["cannot listen: in use", "in use"]), "cannot listen: in use");
        assert_eq!(
            told(&["cannot serve files", "", "no such file"]),
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
