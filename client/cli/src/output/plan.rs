//! Formats a dry-run plan: a row or a JSON object for each file, and for each folder to be made, and the totals. Pure.

use quiver_client::journal::percent;
use quiver_client::transfers::{PlanSummary, PlannedAction, PlannedFile};
use quiver_client::tree::{ItemKind, PlanItemState};
use quiver_protocol::text::display_safe;
use quiver_protocol::units;

use super::json::{self, PlannedLine};
use super::{style, table};

/// `differs, replace    notes/a.txt (600.0 MB)`. A name that does not fit the terminal has a row of its own.
#[must_use]
pub fn row(planned: &PlannedFile, width: Option<usize>) -> String {
    let target = display_safe(&planned.target);
    let (size, slash) = match planned.kind {
        ItemKind::File { size, .. } => (size, ""),
        ItemKind::Folder { .. } => (0, "/"),
    };
    let action = match planned.action() {
        PlannedAction::Create => "new".to_owned(),
        PlannedAction::Resume => format!("resume at {} %", percent(planned.resume_at, size)),
        PlannedAction::Nothing => "same".to_owned(),
        PlannedAction::Replace => "differs, replace".to_owned(),
        PlannedAction::KeepBoth => "differs, keep both".to_owned(),
        PlannedAction::Ask => "differs, ask".to_owned(),
        PlannedAction::Skip => "differs, skip".to_owned(),
        PlannedAction::Fail => "differs, fail".to_owned(),
        PlannedAction::DoesNotFit => "does not fit".to_owned(),
        PlannedAction::Blocked => "blocked".to_owned(),
    };
    let details = match (&planned.state, planned.kind) {
        (PlanItemState::Blocked(why), _) => format!(": {}", display_safe(why)),
        (_, ItemKind::File { size, .. }) => format!(" ({})", units::bytes(size)),
        (_, ItemKind::Folder { .. }) => String::new(),
    };
    let copy = planned.copy.as_ref();
    let copy = copy.map_or_else(String::new, |copy| format!(" as {}", display_safe(&copy.target)));
    let target = format!("{target}{slash}");
    let target = if slash.is_empty() { target } else { style::painted(style::FOLDER, target) };
    let cells = vec![format!("{action:<18}"), format!("{target}{details}{copy}")];
    table::aligned(&[cells], width).join("\n")
}

/// The same as a JSON object.
#[must_use]
pub fn json_row(planned: &PlannedFile) -> String {
    let (kind, size) = match planned.kind {
        ItemKind::File { size, .. } => ("file", size),
        ItemKind::Folder { .. } => ("folder", 0),
    };
    let why =
        if let PlanItemState::Blocked(why) = &planned.state { Some(why.as_str()) } else { None };
    let (plan, action) = match planned.action() {
        PlannedAction::Create => ("new", "create"),
        PlannedAction::Resume => ("resume", "resume"),
        PlannedAction::Nothing => ("same", "none"),
        PlannedAction::Replace => ("differs_replaced", "replace"),
        PlannedAction::KeepBoth => ("differs_both_kept", "keep_both"),
        PlannedAction::Ask => ("differs", "ask"),
        PlannedAction::Skip => ("differs_kept", "skip"),
        PlannedAction::Fail => ("differs", "fail"),
        PlannedAction::DoesNotFit => ("does_not_fit", "fail"),
        PlannedAction::Blocked => ("blocked", "fail"),
    };
    json::line(&PlannedLine {
        plan,
        action,
        path: &planned.source,
        target: planned.target.clone(),
        kind,
        size,
        resume_at: planned.resume_at,
        stored_as: planned.copy.as_ref().map(|copy| copy.target.as_str()),
        why,
    })
}

/// `6 files, 54 B: 3 to transfer (27 B), 1 already there, 2 would fail`
#[must_use]
pub fn summary(summary: &PlanSummary) -> String {
    let PlanSummary { total, moved, same, kept, asked, failed, left_out } = *summary;
    let files = units::counted(total.files, "file");
    let mut text = format!("{files}, {}: ", units::bytes(total.bytes));
    text += &match moved.files {
        0 => "nothing to transfer".to_owned(),
        count => format!("{count} to transfer ({})", units::bytes(moved.bytes)),
    };
    for (count, result) in [
        (same, "already there"),
        (kept, "left unchanged"),
        (asked, "to be asked about"),
        (failed, "would fail"),
        (left_out, "left out"),
    ] {
        if count > 0 {
            text += &format!(", {count} {result}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use quiver_client::transfers::PlannedCopy;
    use quiver_client::tree::{Decision, ItemCount};
    use quiver_protocol::{FilePath, Timestamp};

    use super::*;

    fn row(planned: &PlannedFile) -> String {
        super::row(planned, None)
    }

    fn planned(state: PlanItemState, decision: Option<Decision>) -> PlannedFile {
        let modified = Timestamp::from(SystemTime::UNIX_EPOCH);
        let resume_at = if let PlanItemState::Partial(offset) = state { offset } else { 0 };
        PlannedFile {
            source: FilePath::parse("notes/a").unwrap(),
            target: "notes/a".to_owned(),
            kind: ItemKind::File { size: 100, modified },
            state,
            decision,
            would_ask: false,
            copy: None,
            does_not_fit: false,
            resume_at,
        }
    }

    #[test]
    fn rows_show_what_would_be_done_with_each_file() {
        let shown = |state, decision| row(&planned(state, decision));
        let size = "notes/a (100 B)";
        assert_eq!(shown(PlanItemState::New, None), format!("new                 {size}"));
        assert_eq!(shown(PlanItemState::Partial(45), None), format!("resume at 45 %      {size}"));
        assert_eq!(shown(PlanItemState::Same, None), format!("same                {size}"));
        let differs = |decision| shown(PlanItemState::Differs, Some(decision));
        assert_eq!(differs(Decision::Replace), format!("differs, replace    {size}"));
        assert_eq!(differs(Decision::Skip), format!("differs, skip       {size}"));
        let undecided = planned(PlanItemState::Differs, None);
        assert_eq!(row(&undecided), format!("differs, fail       {size}"));
        let asked = PlannedFile { would_ask: true, ..undecided };
        assert_eq!(row(&asked), format!("differs, ask        {size}"));
        let copy = |is_stored| PlannedFile {
            copy: Some(PlannedCopy { target: "notes/a (2)".to_owned(), is_stored }),
            ..planned(PlanItemState::Differs, Some(Decision::KeepBoth))
        };
        assert_eq!(row(&copy(false)), format!("differs, keep both  {size} as notes/a (2)"));
        assert_eq!(row(&copy(true)), format!("same                {size} as notes/a (2)"));
        let too_large = PlannedFile { does_not_fit: true, ..planned(PlanItemState::New, None) };
        assert_eq!(row(&too_large), format!("does not fit        {size}"));
        let blocked = shown(PlanItemState::Blocked("a folder has this name".to_owned()), None);
        assert_eq!(blocked, "blocked             notes/a: a folder has this name");
    }

    #[test]
    fn json_rows_have_the_same_action_as_one_word() {
        let planned = PlannedFile {
            target: "local/notes/a".to_owned(),
            copy: Some(PlannedCopy { target: "local/notes/a (2)".to_owned(), is_stored: false }),
            ..planned(PlanItemState::Differs, Some(Decision::KeepBoth))
        };
        assert_eq!(
            json_row(&planned),
            r#"{"plan":"differs_both_kept","action":"keep_both","path":"notes/a","target":"local/notes/a","kind":"file","size":100,"resume_at":0,"stored_as":"local/notes/a (2)","why":null}"#
        );
    }

    #[test]
    fn totals_name_only_what_there_is() {
        let one = ItemCount { files: 1, bytes: 1 };
        let counts = PlanSummary { total: one, moved: one, ..PlanSummary::default() };
        assert_eq!(summary(&counts), "1 file, 1 B: 1 to transfer (1 B)");
        let total = ItemCount { files: 7, bytes: 2_500_000 };
        let (same, kept, asked, failed, left_out) = (1, 1, 2, 3, 4);
        let moved = ItemCount::default();
        let counts = PlanSummary { total, moved, same, kept, asked, failed, left_out };
        let expected = "7 files, 2.5 MB: nothing to transfer, 1 already there, 1 left unchanged, \
                        2 to be asked about, 3 would fail, 4 left out";
        assert_eq!(summary(&counts), expected);
    }
}
