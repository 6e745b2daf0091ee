//! Transfers of all processes, for people.

use quiver_client::journal::percent;
use quiver_control::Steering;
use quiver_control::view::{TransferKind, TransferStage, TransferView};
use quiver_protocol::text::display_safe;
use quiver_protocol::units;

/// Requested paths that a row shows.
const MAX_NAMES: usize = 3;

/// `1: big from files.example.org:4433  running  61 % of 600.0 MB  10.0 MB/s  23 s left  (prompt)`
#[must_use]
pub fn transfer(view: &TransferView) -> String {
    let cells = transfer_cells(view);
    cells.into_iter().filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("  ")
}

/// The same as the cells of a table.
#[must_use]
pub fn transfer_cells(view: &TransferView) -> Vec<String> {
    // A paused transfer without a size has no amount worth showing.
    let amount = match view.bytes {
        Some(bytes) => Some(format!("{} % of {}", share(view, bytes), units::bytes(bytes))),
        None => (moved(view) > 0).then(|| units::bytes(moved(view))),
    };
    let several = view.files.filter(|files| *files > 1 && view.files_done > 0);
    let files = several.map(|files| format!("{} of {files} files", view.files_done));
    let left = view.seconds_left.map(|seconds| format!("{} left", units::duration(seconds)));
    let failed = (view.files_failed > 0).then(|| format!("{} failed", view.files_failed));
    vec![
        format!("{}: {}", number(view), name(view)),
        state(view.state).to_owned(),
        amount.unwrap_or_default(),
        files.unwrap_or_default(),
        view.rate.map(units::rate).unwrap_or_default(),
        left.unwrap_or_default(),
        failed.unwrap_or_default(),
        format!("({})", display_safe(&view.process)),
    ]
}

/// The transfer was paused, resumed or cancelled.
#[must_use]
pub fn steered(view: &TransferView, steering: Steering) -> String {
    let what = match steering {
        Steering::Pause => "is paused",
        Steering::Resume => "continues",
        Steering::Cancel => "is cancelled",
    };
    format!("Transfer {} {what}: {}", number(view), name(view))
}

/// `big: the transfer is paused`
#[must_use]
pub fn pause(names: &[String], what: &str) -> String {
    format!("{}: {what}", joined(names))
}

fn number(view: &TransferView) -> String {
    view.number
        .map_or_else(|| display_safe(&view.transfer).into_owned(), |number| number.to_string())
}

fn name(view: &TransferView) -> String {
    let preposition = match view.direction {
        TransferKind::Download | TransferKind::Receive => "from",
        TransferKind::Upload | TransferKind::Send => "to",
    };
    format!("{} {preposition} {}", joined(&view.names), display_safe(&view.with))
}

/// The first names.
fn joined(all: &[String]) -> String {
    let mut names: Vec<_> =
        all.iter().take(MAX_NAMES).map(|name| display_safe(name).into_owned()).collect();
    if all.len() > MAX_NAMES {
        names.push(format!("and {} more", all.len() - MAX_NAMES));
    }
    names.join(" ")
}

fn state(state: TransferStage) -> &'static str {
    match state {
        TransferStage::Planning => "planning",
        TransferStage::Waiting => "waiting for an answer",
        TransferStage::Running => "running",
        TransferStage::Paused => "paused",
        TransferStage::Reconnecting => "reconnecting",
        TransferStage::Done => "done",
        TransferStage::Failed => "failed",
        TransferStage::Cancelled => "cancelled",
        TransferStage::Unfinished => "unfinished",
    }
}

/// The bytes that count as transferred.
fn moved(view: &TransferView) -> u64 {
    match view.direction {
        TransferKind::Send => view.sent,
        TransferKind::Download | TransferKind::Upload | TransferKind::Receive => view.received,
    }
}

/// Never 100 before the transfer is done.
fn share(view: &TransferView, bytes: u64) -> u64 {
    let share = percent(moved(view), bytes).min(100);
    if view.state == TransferStage::Done { share } else { share.min(99) }
}

#[cfg(test)]
mod tests {
    use quiver_control::Failure;
    use quiver_protocol::Timestamp;

    use super::*;

    fn view() -> TransferView {
        TransferView {
            transfer: "17:1".to_owned(),
            number: Some(3),
            process: "prompt".to_owned(),
            own: false,
            direction: TransferKind::Download,
            with: "a:4433".to_owned(),
            names: vec!["big".to_owned()],
            state: TransferStage::Running,
            files: Some(1),
            files_done: 0,
            files_failed: 0,
            bytes: Some(600_000_000),
            sent: 0,
            received: 366_000_000,
            verified: 0,
            rate: Some(10_000_000),
            seconds_left: Some(23),
            path: None,
            limited_by: None,
            started: Timestamp(chrono::DateTime::UNIX_EPOCH),
            ended: None,
            error: None::<Failure>,
            can: Vec::new(),
            local: None,
            command: String::new(),
        }
    }

    #[test]
    fn a_row_says_what_a_person_needs_to_decide() {
        let running = view();
        let row = "3: big from a:4433  running  61 % of 600.0 MB  10.0 MB/s  23 s left  (prompt)";
        assert_eq!(transfer(&running), row);
        let names = ["a", "b\u{202e}", "c", "d", "e"].map(str::to_owned).to_vec();
        let sent = TransferView {
            number: None,
            direction: TransferKind::Send,
            with: "@Ann".to_owned(),
            names,
            state: TransferStage::Waiting,
            bytes: None,
            rate: None,
            seconds_left: None,
            ..running
        };
        let row = "17:1: a b\\u{202e} c and 2 more to @Ann  waiting for an answer  (prompt)";
        assert_eq!(transfer(&sent), row);
    }

    #[test]
    fn a_transfer_is_never_complete_before_it_is_done() {
        let all = TransferView { received: 600_000_000, ..view() };
        assert!(transfer(&all).contains("running  99 % of 600.0 MB"));
        let done = TransferView { state: TransferStage::Done, ..all };
        assert!(transfer(&done).contains("done  100 % of 600.0 MB"));
    }
}
