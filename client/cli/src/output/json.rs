//! JSON objects, one per line, with the field names of the wire.

pub mod connection;
pub mod events;
pub mod messages;
pub mod peers;

use std::time::Duration;

use quiver_client::known_servers::ConfirmedServer;
use quiver_client::transfers::{DownloadedFile, PlanSummary, TransferSummary, UploadedFile};
use quiver_client::tree::LeftOutEntry;
use quiver_protocol::reply::ClientRow;
use quiver_protocol::{ClientName, ContentHash, FilePath, Fingerprint, Timestamp};
use quiver_transfer::TransferBottleneck;
use serde::Serialize;

use self::connection::ConnectionObject;
pub use quiver_protocol::json_line as line;

use super::SERVER;
use super::human;

/// A received file. `sent` is what the server reports: the bytes of its last stream. `received` counts the bytes
/// received in this run, over all connections; `verified` those that are hashed, flushed to disk and stored under
/// the final name.
#[derive(Debug, Serialize)]
pub struct DownloadedLine<'a> {
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
    network_limit: Option<&'static str>,
    connection: Option<ConnectionObject>,
    already_there: bool,
}

impl<'a> DownloadedLine<'a> {
    /// For a received file.
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
            seconds: seconds(file.took),
            bytes_per_second: human::per_second(file.received, file.took),
            limited_by: file.limited_by.map(|by| by.code(SERVER)),
            network_limit: file.limited_by.and_then(TransferBottleneck::network_limit),
            connection: file.path_facts.as_ref().map(ConnectionObject::new),
            already_there: file.already_there,
        }
    }
}

/// A file stored on the server. `sent` counts the bytes written to connections, `received` those that the server
/// wrote, `verified` those that its final response confirms; the last two include what it had before.
#[derive(Debug, Serialize)]
pub struct UploadedLine<'a> {
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
    network_limit: Option<&'static str>,
    connection: Option<ConnectionObject>,
    already_there: bool,
}

impl<'a> UploadedLine<'a> {
    /// For a stored file.
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
            seconds: seconds(file.took),
            bytes_per_second: human::per_second(file.sent, file.took),
            limited_by: file.limited_by.map(|by| by.code(SERVER)),
            network_limit: file.limited_by.and_then(TransferBottleneck::network_limit),
            connection: file.path_facts.as_ref().map(ConnectionObject::new),
            already_there: file.already_there,
        }
    }
}

/// The counts of a finished tree transfer.
#[derive(Debug, Serialize)]
pub struct SummaryLine {
    summary: SummaryCounts,
}

#[derive(Debug, Serialize)]
struct SummaryCounts {
    moved: u64,
    bytes: u64,
    same: u64,
    kept: u64,
    failed: u64,
    left_out: u64,
}

impl SummaryLine {
    /// For a summary.
    #[must_use]
    pub fn new(summary: &TransferSummary) -> Self {
        let TransferSummary { moved, bytes, same, kept, failed, left_out, took: _ } = *summary;
        Self { summary: SummaryCounts { moved, bytes, same, kept, failed, left_out } }
    }
}

/// The totals of a dry run.
#[derive(Debug, Serialize)]
pub struct PlanSummaryLine {
    summary: PlanCounts,
}

/// `moved` and `bytes` are what would be transferred, `files` and `total_bytes` all that the plan has.
#[derive(Debug, Serialize)]
struct PlanCounts {
    dry_run: bool,
    files: u64,
    total_bytes: u64,
    moved: u64,
    bytes: u64,
    same: u64,
    kept: u64,
    asked: u64,
    failed: u64,
    left_out: u64,
}

impl PlanSummaryLine {
    /// For the totals.
    #[must_use]
    pub fn new(summary: &PlanSummary) -> Self {
        let PlanSummary { total, moved, same, kept, asked, failed, left_out } = *summary;
        let (files, total_bytes, bytes, moved) =
            (total.files, total.bytes, moved.bytes, moved.files);
        let dry_run = true;
        Self {
            summary: PlanCounts {
                dry_run,
                files,
                total_bytes,
                moved,
                bytes,
                same,
                kept,
                asked,
                failed,
                left_out,
            },
        }
    }
}

/// An entry that a transfer leaves out.
#[derive(Debug, Serialize)]
pub struct LeftOutLine<'a> {
    left_out: &'a str,
    why: String,
    /// Whether content is missing at the target, so that the transfer fails.
    missing: bool,
}

impl<'a> LeftOutLine<'a> {
    /// For an entry.
    #[must_use]
    pub fn new(entry: &'a LeftOutEntry) -> Self {
        let LeftOutEntry { path, reason } = entry;
        Self { left_out: path, why: reason.to_string(), missing: reason.misses_content() }
    }
}

/// What a transfer would do with a file or folder.
#[derive(Debug, Serialize)]
pub struct PlannedLine<'a> {
    /// `new`, `resume`, `same`, `differs`, `differs_replaced`, `differs_both_kept`, `differs_kept`,
    /// `does_not_fit` or `blocked`.
    pub plan: &'a str,
    /// What would be done: `create`, `resume`, `replace`, `keep_both`, `ask`, `skip`, `fail` or `none`.
    pub action: &'a str,
    /// The source.
    pub path: &'a FilePath,
    /// Where it would be stored.
    pub target: String,
    /// `file` or `folder`.
    pub kind: &'a str,
    /// Size in bytes.
    pub size: u64,
    /// Offset in bytes at which the transfer would resume.
    pub resume_at: u64,
    /// Where it would be stored, or is stored already, beside an existing file.
    pub stored_as: Option<&'a str>,
    /// Why it is blocked.
    pub why: Option<&'a str>,
}

/// The server's reply to a message.
#[derive(Debug, Serialize)]
pub struct ReplyLine<'a> {
    /// Its text.
    pub reply: &'a str,
}

/// The address of the page in the browser.
#[derive(Debug, Serialize)]
pub struct LinkLine<'a> {
    /// The link, with its code.
    pub link: &'a str,
}

/// An unfinished transfer that `transfers --clean` has looked at.
#[derive(Debug, Serialize)]
pub struct CleanedLine<'a> {
    /// The transfer, as people see it.
    pub transfer: &'a str,
    /// `forgotten` or `running`.
    pub result: &'a str,
}

/// A removed path.
#[derive(Debug, Serialize)]
pub struct RemovedLine<'a> {
    /// The path.
    pub removed: &'a FilePath,
}

/// A moved or renamed path.
#[derive(Debug, Serialize)]
pub struct RenamedLine<'a> {
    /// The old path.
    pub from: &'a FilePath,
    /// The new path.
    pub to: &'a FilePath,
}

/// A requested folder.
#[derive(Debug, Serialize)]
pub struct MadeFolderLine<'a> {
    /// Its path.
    pub path: &'a FilePath,
    /// Whether it was created; false if it existed.
    pub created: bool,
}

/// A known server.
#[derive(Debug, Serialize)]
pub struct KnownServerLine {
    server: String,
    fingerprint: Fingerprint,
    /// `null` if an earlier version has remembered it.
    since: Option<Timestamp>,
}

impl KnownServerLine {
    /// For a line of the file of known servers.
    #[must_use]
    pub fn new(known: &ConfirmedServer) -> Self {
        let ConfirmedServer { address, fingerprint, since, .. } = known;
        Self { server: address.to_string(), fingerprint: *fingerprint, since: *since }
    }
}

/// A server that is not known any more.
#[derive(Debug, Serialize)]
pub struct ForgottenServerLine<'a> {
    /// Its address.
    pub server: &'a str,
    /// `forgotten`
    pub result: &'a str,
}

/// A client that is or was connected.
#[derive(Debug, Serialize)]
pub struct ClientLine<'a> {
    number: u64,
    name: &'a ClientName,
    start: Timestamp,
    end: Option<Timestamp>,
    /// Whether it takes messages and offers of other clients.
    reachable: bool,
    /// `command` if it only runs or ran one command, else `session`.
    kind: &'a str,
}

impl<'a> ClientLine<'a> {
    /// For a row of the server's list.
    #[must_use]
    pub fn new(row: &'a ClientRow) -> Self {
        let ClientRow { number, ref name, start, end, reachable, one_shot } = *row;
        let kind = if one_shot { "command" } else { "session" };
        Self { number, name, start, end, reachable, kind }
    }
}

/// With three decimals.
fn seconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_escape_characters_that_control_terminals() {
        let path = FilePath::parse("näme\u{202e}\u{e0001}.txt").unwrap();
        let file = DownloadedLine {
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
            network_limit: None,
            connection: None,
            already_there: false,
        };
        let text = line(&file);
        assert!(text.starts_with(r#"{"path":"näme\u202e\udb40\udc01.txt","size":1,"#), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["path"], path.as_str());
    }
}
