//! How things look to people. Pure: a zone is an argument, nothing is printed here.

use std::path::Path;
use std::time::Duration;

use chrono::TimeZone;
use quiver_protocol::reply::{ClientRow, EntryKind, FolderEntry};
use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, Fingerprint, Timestamp};
use quiver_transfer::file_system::UnsetAttributes;

use super::SERVER;
use crate::failure::Failure;
use quiver_client::ClientError;
use quiver_client::journal::{Direction, SingleFile, TransferSubject, percent};
use quiver_client::notice::Notice;
use quiver_client::throughput::Throughput;
use quiver_client::transfers::TransferSummary;
use quiver_client::unfinished::UnfinishedTransfer;

/// `Client 1: Ben - Start: 2024-10-19 17:45:47, End: Still Connected`, in the zone's time.
pub fn client<Z: TimeZone>(row: &ClientRow, zone: &Z) -> String
where
    Z::Offset: std::fmt::Display,
{
    let local =
        |moment: &Timestamp| moment.0.with_timezone(zone).format("%Y-%m-%d %H:%M:%S").to_string();
    let end = row.end.as_ref().map_or_else(|| "Still Connected".to_owned(), local);
    format!("Client {}: {} - Start: {}, End: {end}", row.number, row.name, local(&row.start))
}

/// A path of the server; a folder's ends with a slash.
#[must_use]
pub fn entry(entry: &FolderEntry) -> String {
    let mut text = display_safe(entry.path.as_str()).into_owned();
    if entry.kind == EntryKind::Folder {
        text.push('/');
    }
    text
}

/// What a list leaves out.
#[must_use]
pub fn not_served(count: u64) -> String {
    match count {
        1 => "1 more name is not served".to_owned(),
        _ => format!("{count} more names are not served"),
    }
}

/// `secret.txt: 12 bytes received and verified`
#[must_use]
pub fn received(path: &FilePath, size: u64) -> String {
    let unit = if size == 1 { "byte" } else { "bytes" };
    format!("{}: {size} {unit} received and verified", display_safe(path.as_str()))
}

/// `big from files.example.org:4433 to /home/ron/big: 61 % of 600000000 bytes, begun 2024-10-19 17:45:47`
#[must_use]
pub fn transfer<Z: TimeZone>(unfinished: &UnfinishedTransfer, zone: &Z) -> String
where
    Z::Offset: std::fmt::Display,
{
    let UnfinishedTransfer { entry, stored, is_running } = unfinished;
    let server = &entry.server.address;
    let (there, here_is, how_far) = match &entry.subject {
        TransferSubject::File(SingleFile { path, local, size, .. }) => {
            let share = stored
                .map_or_else(String::new, |stored| format!("{} % of ", percent(stored, *size)));
            let local = local.display().to_string();
            (path.as_str().to_owned(), local, format!("{share}{size} bytes, "))
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
    let (there, here_is) = (display_safe(&there), display_safe(&here_is));
    let way = match entry.direction {
        Direction::Get => format!("{there} from {server} to {here_is}"),
        Direction::Put => format!("{here_is} to {there} on {server}"),
    };
    let begun = entry.started.0.with_timezone(zone).format("%Y-%m-%d %H:%M:%S");
    let running = if *is_running { ", under way" } else { "" };
    format!("{way}: {how_far}begun {begun}{running}")
}

/// Three digits or so, in powers of a thousand.
pub(super) fn bytes(mut count: f64) -> String {
    let mut unit = "bytes";
    for larger in ["kB", "MB", "GB", "TB"] {
        if count < 1000.0 {
            break;
        }
        (count, unit) = (count / 1000.0, larger);
    }
    if unit == "bytes" { format!("{count:.0} {unit}") } else { format!("{count:.1} {unit}") }
}

/// `10000 files received and verified (41.0 MB in 0.8 s, 12345 a second), 3 already here, 1 failed`
#[must_use]
pub fn summary(summary: &TransferSummary, direction: Direction) -> String {
    let done = match direction {
        Direction::Get => "received",
        Direction::Put => "stored",
    };
    let files = |count: u64| if count == 1 { "file" } else { "files" };
    let seconds = summary.took.as_secs_f64().max(0.001);
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let (moved, size) = (summary.moved as f64, summary.bytes as f64);
    let mut text = format!("{} {} {done}", summary.moved, files(summary.moved));
    if summary.moved > 0 {
        let (size, rate) = (bytes(size), moved / seconds);
        text += &format!(" and verified ({size} in {seconds:.1} s, {rate:.0} a second)");
    }
    for (count, what) in [
        (summary.same, "already there"),
        (summary.kept, "kept as they were"),
        (summary.failed, "failed"),
        (summary.left_out, "left out"),
    ] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text
}

/// `warning: stored a.txt, but could not set its time (Operation not permitted); this is said once`
#[must_use]
pub fn unset(shown: &Path, unset: UnsetAttributes) -> String {
    let shown = shown.display().to_string();
    format!(
        "warning: stored {}, but could not set {unset}; this is said once",
        display_safe(&shown)
    )
}

/// `secret.txt: 12 bytes stored and verified`
#[must_use]
pub fn stored(path: &FilePath, size: u64) -> String {
    let unit = if size == 1 { "byte" } else { "bytes" };
    format!("{}: {size} {unit} stored and verified", display_safe(path.as_str()))
}

/// `33.6 MB in 2.4 s: 14.0 MB/s, limited by this disk`
#[must_use]
pub fn throughput(throughput: &Throughput) -> String {
    let seconds = throughput.took.as_secs_f64().max(0.001);
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let moved = throughput.moved as f64;
    let limit = throughput
        .limited_by
        .map_or_else(String::new, |limit| format!(", limited by {}", limit.describe(SERVER)));
    format!("{} in {seconds:.1} s: {}/s{limit}", bytes(moved), bytes(moved / seconds))
}

/// What is said when the server stops.
#[must_use]
pub fn stopping(grace: Duration) -> String {
    let seconds = grace.as_secs();
    format!("The server is stopping: what runs has {seconds} seconds to end, nothing new begins.")
}

/// The question whether to trust a server that is not known.
#[must_use]
pub fn trust(server: &str, fingerprint: &Fingerprint, not_remembered: Option<&str>) -> String {
    let what = match not_remembered {
        None => "Trust and remember it?".to_owned(),
        Some(why) => format!("Trust it now? It cannot be remembered, for {why}."),
    };
    format!(
        "The server {server} is not known yet. Its fingerprint is\n  {fingerprint}\n\
         The server's owner sees the same with `quiver-server cert show`.\n\
         {what} [yes/no] "
    )
}

/// What a notice says.
#[must_use]
pub fn notice(notice: &Notice) -> String {
    let said = match notice {
        Notice::ServerNotRemembered { server, why } => {
            format!("note: you will be asked about {server} again: {why}")
        }
        Notice::KeyNotStored { why } => {
            format!("note: a later run cannot resume an upload that breaks off: {why}")
        }
        Notice::JournalNotWritable { why } => {
            format!("note: quiver resume cannot find what breaks off: {why}")
        }
        Notice::Reconnecting { why, retry_for } => {
            format!("{why}: trying again for {} s", retry_for.as_secs_f64().round())
        }
        Notice::HashingPrefix { path, bytes } => {
            let mebibytes = bytes / (1024 * 1024);
            format!("{}: checking the {mebibytes} MiB that are here", display_safe(path.as_str()))
        }
        Notice::Resuming { path, offset, size } => {
            format!("{}: goes on at {} %", display_safe(path.as_str()), percent(*offset, *size))
        }
        Notice::StartingOver { path, on_server } => {
            let place = if *on_server { "on the server" } else { "here" };
            format!("{} changed {place}: starting over", display_safe(path.as_str()))
        }
        Notice::AttributesNotSet { path, unset: attributes } => unset(path, *attributes),
        Notice::Skipped { path, kind } => {
            format!("{}: left out, it is {kind}", display_safe(&path.to_string_lossy()))
        }
        Notice::KeptBoth { kept, stored } => {
            format!("{} stays, beside {}", display_safe(kept), display_safe(stored))
        }
        Notice::AlreadyRunning { transfer } => format!("{transfer} is under way"),
        Notice::NothingToResume => "nothing is unfinished".to_owned(),
    };
    match notice {
        Notice::ServerNotRemembered { .. }
        | Notice::KeyNotStored { .. }
        | Notice::JournalNotWritable { .. } => without_numbers(said),
        _ => said,
    }
}

/// Bytes a second, rounded down.
#[must_use]
pub fn per_second(bytes: u64, took: Duration) -> u64 {
    let nanoseconds = took.as_nanos().max(1);
    u64::try_from(u128::from(bytes) * 1_000_000_000 / nanoseconds).unwrap_or(u64::MAX)
}

/// What failed, why, and what to do. The server's words for a full server stand alone.
#[must_use]
pub fn failure(failure: &Failure) -> String {
    if let Failure::Client(error) = failure
        && let ClientError::Busy(_) = **error
    {
        return failure.to_string();
    }
    let what = without_numbers(failure.to_string());
    match failure.hint() {
        Some(hint) => format!("error: {what}\nhint: {hint}"),
        None => format!("error: {what}"),
    }
}

/// `No such file or directory (os error 2)` says it twice.
pub(crate) fn without_numbers(text: String) -> String {
    const NUMBER: &str = " (os error ";
    let Some((before, rest)) = text.split_once(NUMBER) else { return text };
    match rest.split_once(')') {
        Some((number, after)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{before}{}", without_numbers(after.to_owned()))
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

    fn moment(text: &str) -> Timestamp {
        serde_json::from_str(&format!("\"{text}\"")).unwrap()
    }

    #[test]
    fn clients_are_shown_in_local_time() {
        let mut row = ClientRow {
            number: 1,
            name: ClientName::parse("Ben").unwrap(),
            start: moment("2024-10-19T17:45:47.123Z"),
            end: None,
        };
        let east = FixedOffset::east_opt(7200).unwrap();
        assert_eq!(
            client(&row, &east),
            "Client 1: Ben - Start: 2024-10-19 19:45:47, End: Still Connected"
        );
        row.end = Some(moment("2024-10-19T23:46:20.999Z"));
        assert_eq!(
            client(&row, &east),
            "Client 1: Ben - Start: 2024-10-19 19:45:47, End: 2024-10-20 01:46:20"
        );
    }

    #[test]
    fn amounts_are_short() {
        assert_eq!(bytes(999.0), "999 bytes");
        assert_eq!(bytes(33_600_000.0), "33.6 MB");
    }

    #[test]
    fn how_fast_it_was_is_said_with_what_limited_it() {
        let mut measured = Throughput {
            moved: 33_600_000,
            took: Duration::from_secs(2),
            limited_by: Some(TransferBottleneck::Remote(Bottleneck::Disk)),
        };
        let said = "33.6 MB in 2.0 s: 16.8 MB/s, limited by the server's disk";
        assert_eq!(throughput(&measured), said);
        measured.limited_by = None;
        assert_eq!(throughput(&measured), "33.6 MB in 2.0 s: 16.8 MB/s");
    }

    #[test]
    fn errors_come_without_numbers() {
        let text = "a: No such file or directory (os error 2); b (os error x): c".to_owned();
        assert_eq!(without_numbers(text), "a: No such file or directory; b (os error x): c");
    }

    #[test]
    fn folders_end_with_a_slash_and_names_are_harmless() {
        let mut shown = FolderEntry {
            path: FilePath::parse("a\u{202e}b").unwrap(),
            kind: EntryKind::Folder,
            size: 0,
            modified: moment("2024-10-19T17:45:47Z"),
        };
        assert_eq!(entry(&shown), "a\\u{202e}b/");
        shown.kind = EntryKind::File;
        assert_eq!(entry(&shown), "a\\u{202e}b");
    }
}
