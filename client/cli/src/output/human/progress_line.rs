//! The progress of a transfer as one line that fits into a terminal. Pure.

use clap::builder::styling::Style;
use quiver_client::journal::percent;
use quiver_client::transfers::{ServedOffer, TransferState, TransferStatus};
use quiver_protocol::text::display_safe;
use quiver_protocol::units;
use unicode_width::UnicodeWidthStr as _;

use crate::output::cut::{cut_end, cut_middle};
use crate::output::style::{PROGRESS, painted};

/// Columns that a long name keeps while there are other facts beside it.
const MIN_NAME: usize = 12;

/// Columns of a long name beside the most words.
const COMFORTABLE_NAME: usize = 24;

/// A bar that is shorter says less than the percentage.
const MIN_BAR: usize = 10;

const MAX_BAR: usize = 40;

const GAP: &str = "  ";

/// What is known of a running transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressFacts {
    /// The file that is transferred, or was transferred last. Not escaped.
    pub name: String,
    /// Number of files; `None` for a single one.
    pub files: Option<u64>,
    /// Number of files that are finished or have failed.
    pub files_done: u64,
    /// Bytes of all files, once known.
    pub bytes: Option<u64>,
    /// Bytes at the receiver, with those of earlier runs.
    pub moved: u64,
    /// Bytes per second over the last seconds, once known.
    pub rate: Option<u64>,
    /// Time that the rest takes at that rate.
    pub seconds_left: Option<u64>,
    /// Why nothing moves, if that is known.
    pub waits_for: Option<&'static str>,
}

/// What there is to show of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgressState {
    /// Nothing yet.
    Starting,
    /// It is running.
    Running(ProgressFacts),
    /// Nothing any more.
    Over,
}

/// How many facts a line has: fewer where it is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    /// Little but the share.
    Share,
    Rate,
    Moved,
    Total,
    TimeLeft,
    Full,
}

const DETAILS: [Detail; 6] =
    [Detail::Full, Detail::TimeLeft, Detail::Total, Detail::Moved, Detail::Rate, Detail::Share];

impl ProgressState {
    /// That of a transfer. Once all files are finished there is nothing to show any more.
    #[must_use]
    pub fn of_transfer(status: &TransferStatus) -> Self {
        let waits_for = match status.state {
            TransferState::Paused => Some("paused"),
            TransferState::Reconnecting => Some("reconnecting"),
            TransferState::WaitingForAnswer => Some("waiting for an answer"),
            TransferState::Planning | TransferState::Running => None,
            TransferState::Done | TransferState::Failed | TransferState::Cancelled => {
                return Self::Over;
            }
        };
        let files_done = status.files_done + status.files_failed;
        if status.files.is_some_and(|files| files_done >= files) {
            return Self::Over;
        }
        if status.received == 0 && files_done == 0 {
            return Self::Starting;
        }
        let first = status.named.first().map_or("", String::as_str);
        let name = status.current_file.as_ref().map_or(first, |path| path.as_str());
        let is_moving = waits_for.is_none();
        Self::Running(ProgressFacts {
            name: name.to_owned(),
            files: status.files.filter(|files| *files > 1),
            files_done,
            bytes: status.bytes,
            moved: status.received,
            rate: status.rate.filter(|_| is_moving),
            seconds_left: status.time_left.filter(|_| is_moving).map(|left| left.as_secs()),
            waits_for,
        })
    }

    /// That of an offer whose files this process serves.
    #[must_use]
    pub fn of_offer(offer: &ServedOffer) -> Self {
        if offer.sent == 0 {
            return Self::Starting;
        }
        let first = offer.names.first().cloned().unwrap_or_default();
        Self::Running(ProgressFacts {
            name: if offer.files == 1 { first } else { units::counted(offer.files, "file") },
            files: None,
            files_done: 0,
            bytes: offer.bytes,
            moved: offer.sent,
            rate: offer.rate,
            seconds_left: offer.time_left.map(|left| left.as_secs()),
            waits_for: None,
        })
    }
}

impl ProgressFacts {
    /// The facts of all these transfers together; `None` without one.
    #[must_use]
    pub fn of_several(mut all: Vec<Self>) -> Option<Self> {
        if all.len() < 2 {
            return all.pop();
        }
        Some(Self {
            name: format!("{} transfers", all.len()),
            files: None,
            files_done: 0,
            bytes: all.iter().map(|facts| facts.bytes).sum(),
            moved: all.iter().map(|facts| facts.moved).sum(),
            rate: Some(all.iter().filter_map(|facts| facts.rate).sum()),
            // All of them have ended when the last one has.
            seconds_left: all
                .iter()
                .map(|facts| facts.seconds_left)
                .collect::<Option<Vec<_>>>()
                .and_then(|seconds| seconds.into_iter().max()),
            waits_for: None,
        })
    }
}

/// `3 of 120 files  photos/a.jpg  [===>      ]  12 %  250.3 MB of 2.1 GB  10.0 MB/s  3 min 5 s left`, in at most
/// `width` columns: without the bar first, then without the time left, and so on. Never 100 %.
#[must_use]
pub fn progress_line(facts: &ProgressFacts, width: usize) -> String {
    line(facts, width, true)
}

/// Like [`progress_line`], without a bar: for a line that is not replaced.
#[must_use]
pub fn plain_progress_line(facts: &ProgressFacts, width: usize) -> String {
    line(facts, width, false)
}

fn line(facts: &ProgressFacts, width: usize, with_bar: bool) -> String {
    let name = display_safe(&facts.name);
    let fits = |detail: &&Detail| {
        let kept = if **detail == Detail::Full { COMFORTABLE_NAME } else { MIN_NAME };
        used_columns(&parts(facts, **detail)) + name.width().min(kept) <= width
    };
    let detail = DETAILS.iter().find(fits).copied().unwrap_or(Detail::Share);
    let mut parts = parts(facts, detail);
    let used = used_columns(&parts);
    let at = usize::from(facts.files.is_some());
    let name = cut_middle(&name, width.saturating_sub(used));
    let free = width.saturating_sub(used + name.width() + GAP.len());
    if !name.is_empty() {
        parts.insert(at, Part::plain(name));
    }
    if let Some(share) = share(facts).filter(|_| with_bar && free >= MIN_BAR) {
        parts.insert(at + 1, Part::coloured(bar(share, free.min(MAX_BAR))));
    }
    let plain = joined(&parts, |part| part.text.clone());
    if plain.width() > width {
        // A terminal that is narrower than any line.
        return cut_end(&plain, width);
    }
    joined(&parts, |part| {
        part.style.map_or_else(|| part.text.clone(), |style| painted(style, &part.text))
    })
}

/// A part of a line.
struct Part {
    text: String,
    style: Option<Style>,
}

impl Part {
    fn plain(text: String) -> Self {
        Self { text, style: None }
    }

    fn coloured(text: String) -> Self {
        Self { text, style: Some(PROGRESS) }
    }
}

/// Columns of the parts, with a gap after each.
fn used_columns(parts: &[Part]) -> usize {
    parts.iter().map(|part| part.text.width() + GAP.len()).sum()
}

fn joined(parts: &[Part], text: impl Fn(&Part) -> String) -> String {
    parts.iter().map(text).collect::<Vec<_>>().join(GAP)
}

/// The parts beside name and bar.
fn parts(facts: &ProgressFacts, detail: Detail) -> Vec<Part> {
    let mut parts = Vec::new();
    if let Some(files) = facts.files {
        let done = facts.files_done;
        parts.push(Part::plain(if detail == Detail::Full {
            format!("{done} of {files} files")
        } else {
            format!("{done}/{files}")
        }));
    }
    parts.extend(share(facts).map(|share| Part::coloured(format!("{share:>2} %"))));
    let moved = units::bytes(facts.moved);
    match facts.bytes {
        Some(bytes) if detail >= Detail::Total => {
            parts.push(Part::plain(format!("{moved} of {}", units::bytes(bytes))));
        }
        _ if detail >= Detail::Moved || share(facts).is_none() => parts.push(Part::plain(moved)),
        _ => {}
    }
    if let Some(waits_for) = facts.waits_for {
        parts.push(Part::plain(waits_for.to_owned()));
    }
    if detail >= Detail::Rate {
        parts.extend(facts.rate.map(|rate| Part::plain(units::rate(rate))));
    }
    if detail >= Detail::TimeLeft {
        let left = facts.seconds_left.map(|seconds| format!("{} left", units::duration(seconds)));
        parts.extend(left.map(Part::plain));
    }
    parts
}

/// Less than 100: the last file does not have its name yet.
fn share(facts: &ProgressFacts) -> Option<u64> {
    facts.bytes.filter(|bytes| *bytes > 0).map(|bytes| percent(facts.moved, bytes).min(99))
}

/// `[====>     ]`, of `width` columns.
fn bar(share: u64, width: usize) -> String {
    let inner = width.saturating_sub(2);
    let filled = usize::try_from(share).unwrap_or(0) * inner / 100;
    let head = if filled > 0 { ">" } else { "" };
    format!("[{:<inner$}]", "=".repeat(filled.saturating_sub(1)) + head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style;

    /// The line without its colours.
    fn progress_line(facts: &ProgressFacts, width: usize) -> String {
        style::plain(&super::progress_line(facts, width)).into_owned()
    }

    fn plain_progress_line(facts: &ProgressFacts, width: usize) -> String {
        style::plain(&super::plain_progress_line(facts, width)).into_owned()
    }

    fn one_file() -> ProgressFacts {
        ProgressFacts {
            name: "big.iso".to_owned(),
            files: None,
            files_done: 0,
            bytes: Some(600_000_000),
            moved: 366_000_000,
            rate: Some(10_000_000),
            seconds_left: Some(24),
            waits_for: None,
        }
    }

    fn several_files() -> ProgressFacts {
        ProgressFacts {
            name: "photos/2024/summer/the long way home.jpg".to_owned(),
            files: Some(120),
            files_done: 3,
            bytes: Some(2_100_000_000),
            moved: 252_000_000,
            rate: Some(10_000_000),
            seconds_left: Some(185),
            waits_for: None,
        }
    }

    #[test]
    fn a_file_has_its_bar_share_bytes_rate_and_time_left() {
        let line = progress_line(&one_file(), 79);
        let facts = "61 %  366.0 MB of 600.0 MB  10.0 MB/s  24 s left";
        assert_eq!(line, format!("big.iso  [=========>        ]  {facts}"));
        assert_eq!(plain_progress_line(&one_file(), 79), format!("big.iso  {facts}"));
        assert_eq!(progress_line(&one_file(), 60), format!("big.iso  {facts}"));
    }

    #[test]
    fn only_the_bar_and_the_share_are_in_colour() {
        let line = super::progress_line(&one_file(), 79);
        assert!(line.contains(&painted(PROGRESS, "61 %")), "{line}");
        assert!(line.contains(&painted(PROGRESS, "[=========>        ]")), "{line}");
        assert_eq!(line.matches("\u{1b}[0m").count(), 2, "{line}");
    }

    #[test]
    fn several_files_have_their_number_and_the_current_name() {
        let line = progress_line(&several_files(), 119);
        assert_eq!(
            line,
            "3 of 120 files  photos/2024/summer/the long way home.jpg  12 %  252.0 MB of 2.1 GB  10.0 MB/s  3 min 5 s left"
        );
        let line = progress_line(&several_files(), 79);
        let facts = "12 %  252.0 MB of 2.1 GB  10.0 MB/s  3 min 5 s left";
        assert_eq!(line, format!("3/120  photos/20… home.jpg  {facts}"));
    }

    #[test]
    fn narrow_lines_lose_the_bar_then_the_time_left_then_the_total() {
        assert_eq!(
            progress_line(&one_file(), 50),
            "big.iso  61 %  366.0 MB of 600.0 MB  10.0 MB/s"
        );
        assert_eq!(progress_line(&one_file(), 39), "big.iso  61 %  366.0 MB  10.0 MB/s");
        assert_eq!(progress_line(&one_file(), 30), "big.iso  61 %  10.0 MB/s");
        assert_eq!(progress_line(&one_file(), 14), "big.iso  61 %");
        assert_eq!(progress_line(&several_files(), 39), "3/120  photos/…ome.jpg  12 %  10.0 MB/s");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let wide = ProgressFacts {
            name: "写真/夏の長い長い帰り道の写真.jpg".to_owned(),
            ..several_files()
        };
        let escaped = ProgressFacts { name: "a\u{202e}b\n".repeat(20), ..one_file() };
        for facts in [one_file(), several_files(), wide, escaped] {
            for width in 0..200 {
                let line = progress_line(&facts, width);
                assert!(line.width() <= width, "{width}: {line}");
                assert!(!line.contains(['\n', '\u{202e}']), "{line}");
            }
        }
    }

    #[test]
    fn what_is_not_known_is_not_shown() {
        let start = ProgressFacts { rate: None, seconds_left: None, ..one_file() };
        assert_eq!(progress_line(&start, 40), "big.iso  61 %  366.0 MB of 600.0 MB");
        let pipe = ProgressFacts { bytes: None, seconds_left: None, ..one_file() };
        assert_eq!(progress_line(&pipe, 79), "big.iso  366.0 MB  10.0 MB/s");
        let paused = ProgressFacts { waits_for: Some("paused"), ..start };
        assert_eq!(progress_line(&paused, 50), "big.iso  61 %  366.0 MB of 600.0 MB  paused");
    }

    #[test]
    fn several_transfers_are_added_up() {
        assert_eq!(ProgressFacts::of_several(Vec::new()), None);
        assert_eq!(ProgressFacts::of_several(vec![several_files()]), Some(several_files()));
        let both = ProgressFacts::of_several(vec![one_file(), several_files()]).unwrap();
        let line = "2 transfers  22 %  618.0 MB of 2.7 GB  20.0 MB/s  3 min 5 s left";
        assert_eq!(plain_progress_line(&both, 79), line);
    }

    #[test]
    fn a_transfer_is_not_complete_before_it_is_done() {
        let all = ProgressFacts { moved: 600_000_000, ..one_file() };
        assert!(progress_line(&all, 60).contains("99 %"), "{}", progress_line(&all, 60));
    }
}
