//! Texts for people. Pure: the time zone is an argument, and nothing is printed.

pub mod details;
pub mod listing;
pub mod offers;
pub mod peers;
pub mod progress_line;
pub mod questions;
pub mod transfers;

use std::path::Path;
use std::time::Duration;

use chrono::TimeZone;
use quiver_protocol::reply::{ClientRow, EntryKind, FolderEntry};
use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, Fingerprint, Timestamp, units};
use quiver_transfer::file_system::UnsetAttributes;

use super::{SERVER, style};
use crate::failure::Failure;
use quiver_client::ClientError;
use quiver_client::journal::{Direction, SingleFile, TransferSubject, percent};
use quiver_client::known_servers::ConfirmedServer;
use quiver_client::notice::Notice;
use quiver_client::throughput::Throughput;
use quiver_client::transfers::TransferSummary;
use quiver_client::tree::LeftOutEntry;
use quiver_client::unfinished::UnfinishedTransfer;

/// `Client 1: Ben - Start: 2024-10-19 17:45:47, End: Still Connected`, in local time of `zone`.
pub fn client_row<Z: TimeZone>(row: &ClientRow, zone: &Z) -> String
where
    Z::Offset: std::fmt::Display,
{
    let local = |moment: &Timestamp| time(moment, zone);
    let end = row.end.as_ref().map_or_else(|| "Still Connected".to_owned(), local);
    let name = style::painted(style::NAME, &row.name);
    format!("Client {}: {name} - Start: {}, End: {end}", row.number, local(&row.start))
}

/// `files.example.org:4433  since 2024-10-19 17:45:47`, as cells of a table. The fingerprint has a
/// [row](fingerprint_row) of its own.
pub fn known_server<Z: TimeZone>(server: &ConfirmedServer, zone: &Z) -> Vec<String>
where
    Z::Offset: std::fmt::Display,
{
    let since =
        server.since.map_or_else(String::new, |since| format!("since {}", time(&since, zone)));
    vec![server.address.to_string(), since]
}

/// A fingerprint below what it belongs to. It has no spaces, so that it can be copied.
#[must_use]
pub fn fingerprint_row(fingerprint: &Fingerprint) -> String {
    format!("  {fingerprint}")
}

/// `2024-10-19 17:45:47`, in local time of `zone`.
fn time<Z: TimeZone>(moment: &Timestamp, zone: &Z) -> String
where
    Z::Offset: std::fmt::Display,
{
    moment.0.with_timezone(zone).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A path on the server; a folder's ends with a slash.
#[must_use]
pub fn folder_entry(entry: &FolderEntry) -> String {
    let path = display_safe(entry.path.as_str());
    match entry.kind {
        EntryKind::File => path.into_owned(),
        EntryKind::Folder => style::painted(style::FOLDER, format_args!("{path}/")),
    }
}

/// How many names of a folder the server does not serve.
#[must_use]
pub fn not_served(count: u64) -> String {
    let is = if count == 1 { "is" } else { "are" };
    format!("{} {is} not served", units::counted(count, "more name"))
}

/// `secret.txt: 12 B received and verified`
#[must_use]
pub fn received(path: &FilePath, size: u64) -> String {
    format!("{}: {} received and verified", display_safe(path.as_str()), units::bytes(size))
}

/// `big from files.example.org:4433 to /home/ron/big  61 % of 600.0 MB  started 2024-10-19 17:45:47`, as cells of a table.
#[must_use]
pub fn unfinished<Z: TimeZone>(transfer: &UnfinishedTransfer, zone: &Z) -> Vec<String>
where
    Z::Offset: std::fmt::Display,
{
    let UnfinishedTransfer { entry, stored, is_running } = transfer;
    let server = &entry.server.address;
    let (remote, local, progress) = match &entry.subject {
        TransferSubject::File(SingleFile { path, local, size, .. }) => {
            let share = stored
                .map_or_else(String::new, |stored| format!("{} % of ", percent(stored, *size)));
            let local = local.display().to_string();
            (path.as_str().to_owned(), local, format!("{share}{}", units::bytes(*size)))
        }
        TransferSubject::Tree(tree) => {
            let (named, folder) = (tree.named.join(" "), tree.folder.display().to_string());
            match entry.direction {
                Direction::Get => (named, folder, String::new()),
                Direction::Put => {
                    let to = format!("{}/", tree.to.as_str());
                    (to, format!("{named} in {folder}"), String::new())
                }
            }
        }
    };
    let (remote, local) = (display_safe(&remote), display_safe(&local));
    let route = match entry.direction {
        Direction::Get => format!("{remote} from {server} to {local}"),
        Direction::Put => format!("{local} to {remote} on {server}"),
    };
    let started = format!("started {}", time(&entry.started, zone));
    let running = if *is_running { "running" } else { "" };
    vec![route, progress, started, running.to_owned()]
}

/// `10000 files received and verified (41.0 MB in 0.8 s, 12345 files/s), 3 already there, 1 failed`
#[must_use]
pub fn summary(summary: &TransferSummary, direction: Direction) -> String {
    let done = match direction {
        Direction::Get => "received",
        Direction::Put => "stored",
    };
    let mut text = format!("{} {done}", units::counted(summary.moved, "file"));
    if summary.moved > 0 {
        let (size, took) = (units::bytes(summary.bytes), units::took(summary.took));
        let rate = per_second(summary.moved, summary.took.max(Duration::from_millis(1)));
        text += &format!(" and verified ({size} in {took}, {rate} files/s)");
    }
    for (count, result) in [
        (summary.same, "already there"),
        (summary.kept, "left unchanged"),
        (summary.failed, "failed"),
        (summary.left_out, "left out"),
    ] {
        if count > 0 {
            text += &format!(", {count} {result}");
        }
    }
    text
}

/// `warning: stored a.txt, but could not set its time (Operation not permitted); reported once`
#[must_use]
pub fn attributes_not_set(path: &Path, unset: UnsetAttributes) -> String {
    let path = path.display().to_string();
    let path = display_safe(&path);
    style::warning(format_args!("stored {path}, but could not set {unset}; reported once"))
}

/// `notes/link: left out, it is a symbolic link`, and whether content is missing.
#[must_use]
pub fn left_out(entry: &LeftOutEntry) -> (String, bool) {
    let LeftOutEntry { path, reason } = entry;
    let why = display_safe(&reason.to_string()).into_owned();
    (format!("{}: left out, {why}", display_safe(path)), reason.misses_content())
}

/// `and 5 more are left out`
#[must_use]
pub fn left_out_unnamed(count: u64) -> String {
    format!("and {count} more {} left out", if count == 1 { "is" } else { "are" })
}

/// `secret.txt: already there`
#[must_use]
pub fn already_there(path: &FilePath) -> String {
    format!("{}: already there", display_safe(path.as_str()))
}

/// `secret.txt: 12 B stored and verified`
#[must_use]
pub fn stored(path: &FilePath, size: u64) -> String {
    format!("{}: {} stored and verified", display_safe(path.as_str()), units::bytes(size))
}

/// `33.6 MB in 2.4 s: 14.0 MB/s, limited by this disk`
#[must_use]
pub fn throughput(throughput: &Throughput) -> String {
    let Throughput { moved, took, limited_by } = *throughput;
    let limit = limited_by
        .map_or_else(String::new, |limit| format!(", limited by {}", limit.describe(SERVER)));
    let rate = units::average_rate(moved, took);
    format!("{} in {}: {rate}{limit}", units::bytes(moved), units::took(took))
}

/// The message when the server stops.
#[must_use]
pub fn server_stopping(grace: Duration) -> String {
    let time = units::counted(grace.as_secs(), "second");
    format!("The server is stopping: running commands have {time} to finish, new ones are refused.")
}

/// The question whether to trust an unknown server.
#[must_use]
pub fn trust_question(
    server: &str,
    fingerprint: &Fingerprint,
    not_remembered: Option<&str>,
) -> String {
    let what = match not_remembered {
        None => "Trust and remember it?".to_owned(),
        Some(why) => format!("Trust it now? It cannot be remembered: {why}."),
    };
    format!(
        "The server {server} is not known yet. Its fingerprint is\n  {fingerprint}\n\
         Compare it with the output of `quiver-server cert show` on the server.\n\
         Instead of yes, you can paste the fingerprint that it shows.\n\
         {what} [yes/no] "
    )
}

/// The text of a notice.
#[must_use]
pub fn notice(notice: &Notice) -> String {
    let text = match notice {
        Notice::Connection(detail) => details::connection(detail),
        Notice::Connecting { server } => format!("Connecting to {server} ..."),
        Notice::ServerNotRemembered { server, why } => {
            style::note(format_args!("you will be asked about {server} again: {why}"))
        }
        Notice::KeyNotStored { why } => {
            style::note(format_args!("a later run cannot resume interrupted uploads: {why}"))
        }
        Notice::JournalNotWritable { why } => {
            style::note(format_args!("quiver resume cannot find interrupted transfers: {why}"))
        }
        Notice::Reconnecting { why, retry_for } => {
            let seconds = retry_for.as_secs_f64().round() as u64;
            format!("{why}: trying again for {}", units::duration(seconds))
        }
        Notice::NoAnswer { server, is_connecting: true } => {
            format!("no answer from {server}: connecting again ...")
        }
        Notice::NoAnswer { server, is_connecting: false } => {
            format!("no answer from {server}: waiting ...")
        }
        Notice::AnswersAgain { server } => format!("{server} answers again"),
        Notice::HashingPrefix { path, bytes } => {
            let received = units::bytes(*bytes);
            format!("{}: checking the {received} received earlier", display_safe(path.as_str()))
        }
        Notice::Resuming { path, offset, size } => {
            format!("{}: resuming at {} %", display_safe(path.as_str()), percent(*offset, *size))
        }
        Notice::StartingOver { path, on_server } => {
            let place = if *on_server { "on the server" } else { "on this machine" };
            format!("{} changed {place}: starting over", display_safe(path.as_str()))
        }
        Notice::AttributesNotSet { path, unset: attributes } => {
            attributes_not_set(path, *attributes)
        }
        Notice::KeptBoth { kept, stored } => {
            format!("{} is kept, the new file is {}", display_safe(kept), display_safe(stored))
        }
        Notice::AlreadyRunning { transfer } => format!("{transfer} is running in another process"),
        Notice::NothingToResume => "no unfinished transfers".to_owned(),
    };
    match notice {
        Notice::ServerNotRemembered { .. }
        | Notice::KeyNotStored { .. }
        | Notice::JournalNotWritable { .. } => without_os_codes(text),
        _ => text,
    }
}

/// Bytes or files per second, rounded down.
#[must_use]
pub fn per_second(count: u64, took: Duration) -> u64 {
    let nanoseconds = took.as_nanos().max(1);
    u64::try_from(u128::from(count) * 1_000_000_000 / nanoseconds).unwrap_or(u64::MAX)
}

/// What failed, why, and what to do. A busy server's own message is returned alone.
#[must_use]
pub fn failure(failure: &Failure) -> String {
    if let Failure::Client(error) = failure
        && let ClientError::Busy(_) = **error
    {
        return failure.to_string();
    }
    let what = without_os_codes(failure.to_string());
    match failure.hint() {
        Some(hint) => format!("{}\n{}", style::error(what), style::hint(hint)),
        None => style::error(what),
    }
}

/// Removes the redundant number from texts like `No such file or directory (os error 2)`.
pub(crate) fn without_os_codes(text: String) -> String {
    const PREFIX: &str = " (os error ";
    let Some((before, rest)) = text.split_once(PREFIX) else { return text };
    match rest.split_once(')') {
        Some((number, after)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{before}{}", without_os_codes(after.to_owned()))
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;
    use quiver_protocol::{Bottleneck, ClientName};
    use quiver_transfer::TransferBottleneck;

    use super::*;

    fn timestamp(text: &str) -> Timestamp {
        serde_json::from_str(&format!("\"{text}\"")).unwrap()
    }

    #[test]
    fn client_rows_show_local_time() {
        let mut row = ClientRow {
            number: 1,
            name: ClientName::parse("Ben").unwrap(),
            start: timestamp("2024-10-19T17:45:47.123Z"),
            end: None,
            reachable: false,
            one_shot: false,
        };
        let east = FixedOffset::east_opt(7200).unwrap();
        assert_eq!(
            style::plain(&client_row(&row, &east)),
            "Client 1: Ben - Start: 2024-10-19 19:45:47, End: Still Connected"
        );
        row.end = Some(timestamp("2024-10-19T23:46:20.999Z"));
        assert_eq!(
            style::plain(&client_row(&row, &east)),
            "Client 1: Ben - Start: 2024-10-19 19:45:47, End: 2024-10-20 01:46:20"
        );
    }

    #[test]
    fn the_throughput_names_the_bottleneck_if_known() {
        let mut result = Throughput {
            moved: 33_600_000,
            took: Duration::from_secs(2),
            limited_by: Some(TransferBottleneck::Remote(Bottleneck::Disk)),
        };
        let text = "33.6 MB in 2.0 s: 16.8 MB/s, limited by the server's disk";
        assert_eq!(throughput(&result), text);
        result.limited_by = None;
        assert_eq!(throughput(&result), "33.6 MB in 2.0 s: 16.8 MB/s");
    }

    #[test]
    fn os_error_codes_are_removed() {
        let text = "a: No such file or directory (os error 2); b (os error x): c".to_owned();
        assert_eq!(without_os_codes(text), "a: No such file or directory; b (os error x): c");
    }

    #[test]
    fn folder_entries_end_with_a_slash_and_are_escaped() {
        let mut entry = FolderEntry {
            path: FilePath::parse("a\u{202e}b").unwrap(),
            kind: EntryKind::Folder,
            size: 0,
            modified: timestamp("2024-10-19T17:45:47Z"),
        };
        assert_eq!(style::plain(&folder_entry(&entry)), "a\\u{202e}b/");
        assert_eq!(folder_entry(&entry), style::painted(style::FOLDER, "a\\u{202e}b/"));
        entry.kind = EntryKind::File;
        assert_eq!(folder_entry(&entry), "a\\u{202e}b");
    }
}
