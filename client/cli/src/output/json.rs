//! One JSON object a line, with the wire's fields.

use std::borrow::Cow;
use std::fmt::Write as _;

use quiver_client::transfers::{DownloadedFile, TransferSummary, UploadedFile};
use quiver_protocol::text::display_safe;
use quiver_protocol::{ContentHash, FilePath};
use serde::Serialize;

use super::SERVER;
use super::human;

/// A file that arrived. Sent is what the server's end of the content accounts for: the bytes of its last
/// stream. Received are the bytes that came here in this run, over all its connections, verified those that
/// are hashed, flushed to disk and under the final name.
#[derive(Debug, Serialize)]
pub struct FileLine<'a> {
    path: &'a FilePath,
    size: u64,
    blake3: ContentHash,
    target: String,
    sent: u64,
    received: u64,
    verified: u64,
    resumed_at: u64,
    seconds: f64,
    bytes_per_second: u64,
    limited_by: Option<String>,
}

impl<'a> FileLine<'a> {
    /// For a file that is here now.
    #[must_use]
    pub fn new(file: &'a DownloadedFile) -> Self {
        Self {
            path: &file.path,
            size: file.size,
            blake3: file.blake3,
            target: file
                .target
                .as_ref()
                .map_or_else(String::new, |path| path.display().to_string()),
            sent: file.size - file.resumed_at,
            received: file.received,
            verified: file.size,
            resumed_at: file.resumed_at,
            seconds: file.took.as_secs_f64(),
            bytes_per_second: human::per_second(file.received, file.took),
            limited_by: file.limited_by.map(|by| by.code(SERVER)),
        }
    }
}

/// A file that was stored on the server. Sent is what was handed to the connection, received what the
/// server took and wrote, verified what its last word confirms; those two count what it had before.
#[derive(Debug, Serialize)]
pub struct StoredLine<'a> {
    path: &'a FilePath,
    size: u64,
    blake3: ContentHash,
    source: &'a str,
    sent: u64,
    received: u64,
    verified: u64,
    resumed_at: u64,
    seconds: f64,
    bytes_per_second: u64,
    limited_by: Option<String>,
}

impl<'a> StoredLine<'a> {
    /// For a file that is there now.
    #[must_use]
    pub fn new(file: &'a UploadedFile) -> Self {
        Self {
            path: &file.path,
            size: file.size,
            blake3: file.blake3,
            source: &file.source,
            sent: file.sent,
            received: file.size,
            verified: file.size,
            resumed_at: file.resumed_at,
            seconds: (file.took.as_secs_f64() * 1000.0).round() / 1000.0,
            bytes_per_second: human::per_second(file.sent, file.took),
            limited_by: file.limited_by.map(|by| by.code(SERVER)),
        }
    }
}

/// What became of the files of a tree, after all of them.
#[derive(Debug, Serialize)]
pub struct SummaryCounts {
    summary: SummaryLine,
}

#[derive(Debug, Serialize)]
struct SummaryLine {
    moved: u64,
    bytes: u64,
    same: u64,
    kept: u64,
    failed: u64,
    left_out: u64,
}

impl SummaryCounts {
    /// For what became of them.
    #[must_use]
    pub fn new(summary: &TransferSummary) -> Self {
        let TransferSummary { moved, bytes, same, kept, failed, left_out, took: _ } = *summary;
        Self { summary: SummaryLine { moved, bytes, same, kept, failed, left_out } }
    }
}

/// What would be done with a file or folder.
#[derive(Debug, Serialize)]
pub struct PlannedLine<'a> {
    /// `new`, `resume`, `same`, `differs`, `differs_replaced`, `differs_both_kept`, `differs_kept`,
    /// `does_not_fit` or `blocked`.
    pub plan: &'a str,
    /// Where it comes from.
    pub path: &'a FilePath,
    /// Where it would be.
    pub target: String,
    /// `file` or `folder`.
    pub kind: &'a str,
    /// Bytes.
    pub size: u64,
    /// Bytes that are there already.
    pub resume_at: u64,
    /// Why it is blocked, or does not fit.
    pub why: Option<&'a str>,
}

/// A path that was removed.
#[derive(Debug, Serialize)]
pub struct RemovedLine<'a> {
    /// What was called so.
    pub removed: &'a FilePath,
}

/// A path that has another one now.
#[derive(Debug, Serialize)]
pub struct RenamedLine<'a> {
    /// The old one.
    pub from: &'a FilePath,
    /// The new one.
    pub to: &'a FilePath,
}

/// A folder that was asked for.
#[derive(Debug, Serialize)]
pub struct FolderLine<'a> {
    /// Where it is.
    pub path: &'a FilePath,
    /// Whether it is new.
    pub created: bool,
}

/// An object's line, without its end. Characters that could drive a terminal are written as `\u`
/// escapes, which mean the same to whoever reads the JSON.
#[must_use]
pub fn line<T: Serialize>(object: &T) -> String {
    #[expect(clippy::expect_used, reason = "these types have string keys and no failing impl")]
    let text = serde_json::to_string(object).expect("a type of ours always has a JSON form");
    escape(&text)
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        let mut bytes = [0; 4];
        let alone = character.encode_utf8(&mut bytes);
        if matches!(display_safe(alone), Cow::Borrowed(_)) {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_wires_object_and_drives_no_terminal() {
        let path = FilePath::parse("näme\u{202e}\u{e0001}.txt").unwrap();
        let file = FileLine {
            path: &path,
            size: 1,
            blake3: ContentHash([0; 32]),
            target: "t".into(),
            sent: 1,
            received: 1,
            verified: 1,
            resumed_at: 0,
            seconds: 0.5,
            bytes_per_second: 2,
            limited_by: None,
        };
        let text = line(&file);
        assert!(text.starts_with(r#"{"path":"näme\u202e\udb40\udc01.txt","size":1,"#), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["path"], path.as_str());
    }
}
