//! A server's log, as `--log-format json` writes it: what was said, and waiting until it is.

use std::time::Duration;

use serde_json::Value;

use crate::deadline::{PATIENCE, within};
use crate::process::Lines;

/// The log of a running server.
#[derive(Debug, Clone)]
pub struct Log {
    lines: Lines,
}

/// One line.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// `INFO`, `WARN`, ...
    pub level: String,
    /// The words.
    pub message: String,
    /// The whole line.
    pub fields: Value,
}

impl Log {
    /// Over the lines of a server's standard error.
    #[must_use]
    pub fn new(lines: Lines) -> Self {
        Self { lines }
    }

    /// Waits for the first line, of all since the start, whose message contains `text`.
    ///
    /// # Panics
    /// When none comes.
    pub async fn wait_for(&self, text: &str) -> LogEntry {
        self.wait_for_nth(text, 1).await
    }

    /// Waits until so many lines contain `text`; gives the last of them.
    ///
    /// # Panics
    /// When they do not come.
    pub async fn wait_for_nth(&self, text: &str, count: usize) -> LogEntry {
        self.wait_for_nth_within(PATIENCE, text, count).await
    }

    /// The same, with a deadline of its own.
    ///
    /// # Panics
    /// When they do not come.
    pub async fn wait_for_nth_within(
        &self,
        patience: Duration,
        text: &str,
        count: usize,
    ) -> LogEntry {
        let what = format!("log line {count} with {text:?}");
        let mut left = count;
        let wait = self.lines.wait(|line| {
            let entry = LogEntry::parse(line)?;
            left -= usize::from(entry.message.contains(text));
            (left == 0).then_some(entry)
        });
        match within(patience, &what, wait).await {
            Some(entry) => entry,
            None => panic!("the server ended; waited for {what}"),
        }
    }

    /// How many lines so far contain `text`.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        self.entries().iter().filter(|entry| entry.message.contains(text)).count()
    }

    /// All lines so far that are log lines.
    #[must_use]
    pub fn entries(&self) -> Vec<LogEntry> {
        self.lines.so_far().iter().filter_map(|line| LogEntry::parse(line)).collect()
    }

    /// What a server that is well never says: an error, or a line that is no log line (a panic).
    #[must_use]
    pub fn alarms(&self) -> Vec<String> {
        let mut lines = self.lines.so_far();
        lines.retain(|line| LogEntry::parse(line).is_none_or(|entry| entry.level == "ERROR"));
        lines
    }

    /// The last lines, for whoever asks what went wrong.
    #[must_use]
    pub fn tail(&self) -> String {
        let lines = self.lines.so_far();
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
