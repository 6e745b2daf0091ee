//! A server's log, as `--log-format json` writes it, and waiting for its lines.

use std::time::Duration;

use serde_json::Value;

use crate::deadline::{TIMEOUT, wait_within};
use crate::process::Lines;

/// The log of a running server.
#[derive(Debug, Clone)]
pub struct ServerLog {
    lines: Lines,
}

/// One line of the log.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// `INFO`, `WARN`, ...
    pub level: String,
    /// The message.
    pub message: String,
    /// The whole line as JSON.
    pub fields: Value,
}

impl ServerLog {
    /// The log in the lines of a server's standard error.
    #[must_use]
    pub fn new(lines: Lines) -> Self {
        Self { lines }
    }

    /// Waits for the first line since the server's start whose message contains `text`.
    ///
    /// # Panics
    /// If there is none within [`TIMEOUT`].
    pub async fn wait_for(&self, text: &str) -> LogEntry {
        self.wait_for_nth(text, 1).await
    }

    /// Waits until `count` messages contain `text`, and returns the last of them.
    ///
    /// # Panics
    /// If there are fewer within [`TIMEOUT`].
    pub async fn wait_for_nth(&self, text: &str, count: usize) -> LogEntry {
        self.wait_for_nth_within(TIMEOUT, text, count).await
    }

    /// [`wait_for_nth`](Self::wait_for_nth) with a timeout of its own.
    ///
    /// # Panics
    /// If there are fewer within `limit`.
    pub async fn wait_for_nth_within(&self, limit: Duration, text: &str, count: usize) -> LogEntry {
        let what = format!("log line {count} with {text:?}");
        let mut missing = count;
        let wait = self.lines.wait(|line| {
            let entry = LogEntry::parse(line)?;
            missing -= usize::from(entry.message.contains(text));
            (missing == 0).then_some(entry)
        });
        match wait_within(limit, &what, wait).await {
            Some(entry) => entry,
            None => panic!("the server ended; waited for {what}"),
        }
    }

    /// How many messages so far contain `text`.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        self.entries().iter().filter(|entry| entry.message.contains(text)).count()
    }

    /// All log entries so far.
    #[must_use]
    pub fn entries(&self) -> Vec<LogEntry> {
        self.lines.lines().iter().filter_map(|line| LogEntry::parse(line)).collect()
    }

    /// Lines that a healthy server never writes: errors, and lines that are no log entries, such as a panic.
    #[must_use]
    pub fn error_lines(&self) -> Vec<String> {
        let mut lines = self.lines.lines();
        lines.retain(|line| LogEntry::parse(line).is_none_or(|entry| entry.level == "ERROR"));
        lines
    }

    /// The last 30 lines, for the message of a failed test.
    #[must_use]
    pub fn tail(&self) -> String {
        let lines = self.lines.lines();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl LogEntry {
    fn parse(line: &str) -> Option<Self> {
        let fields: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| Some(fields.get(name)?.as_str()?.to_owned());
        Some(Self { level: text("level")?, message: text("message").unwrap_or_default(), fields })
    }
}
