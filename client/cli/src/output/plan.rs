//! Formats a dry-run plan: a row or a JSON object for each file, and for each folder to be made. Pure.

use quiver_client::journal::percent;
use quiver_client::transfers::PlannedFile;
use quiver_client::tree::{Decision, ItemKind, PlanItemState};
use quiver_protocol::text::display_safe;
use quiver_protocol::units;

use super::json::{self, PlannedLine};

/// `resume at 45 %      notes/a.txt (600.0 MB)`
#[must_use]
pub fn row(planned: &PlannedFile) -> String {
    let target = display_safe(&planned.target);
    let (size, slash) = match planned.kind {
        ItemKind::File { size, .. } => (size, ""),
        ItemKind::Folder { .. } => (0, "/"),
    };
    let action = match action(planned) {
        "resume" => format!("resume at {} %", percent(planned.resume_at, size)),
        action => action.to_owned(),
    };
    let details = match (&planned.state, planned.kind) {
        (PlanItemState::Blocked(why), _) => format!(": {}", display_safe(why)),
        (_, ItemKind::File { size, .. }) => format!(" ({})", units::bytes(size)),
        (_, ItemKind::Folder { .. }) => String::new(),
    };
    format!("{action:<18}  {target}{slash}{details}")
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
    json::line(&PlannedLine {
        plan: &action(planned).replace(", ", "_").replace(' ', "_"),
        path: &planned.source,
        target: planned.target.clone(),
        kind,
        size,
        resume_at: planned.resume_at,
        why,
    })
}

/// What the transfer would do.
fn action(planned: &PlannedFile) -> &'static str {
    match (&planned.state, planned.decision) {
        (PlanItemState::Same, _) => "same",
        (PlanItemState::Blocked(_), _) => "blocked",
        (PlanItemState::SameSize | PlanItemState::Differs, None) => "differs",
        (PlanItemState::SameSize | PlanItemState::Differs, Some(Decision::Skip)) => "differs, kept",
        _ if planned.does_not_fit => "does not fit",
        (PlanItemState::SameSize | PlanItemState::Differs, Some(Decision::Replace)) => {
            "differs, replaced"
        }
        (PlanItemState::SameSize | PlanItemState::Differs, Some(Decision::KeepBoth)) => {
            "differs, both kept"
        }
        (PlanItemState::New, _) => "new",
        (PlanItemState::Partial(_), _) => "resume",
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use quiver_protocol::{FilePath, Timestamp};

    use super::*;

    fn planned(state: PlanItemState, decision: Option<Decision>) -> PlannedFile {
        let modified = Timestamp::from(SystemTime::UNIX_EPOCH);
        let resume_at = if let PlanItemState::Partial(offset) = state { offset } else { 0 };
        PlannedFile {
            source: FilePath::parse("notes/a").unwrap(),
            target: "notes/a".to_owned(),
            kind: ItemKind::File { size: 100, modified },
            state,
            decision,
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
        assert_eq!(shown(PlanItemState::Differs, None), format!("differs             {size}"));
        let replaced = shown(PlanItemState::Differs, Some(Decision::Replace));
        assert_eq!(replaced, format!("differs, replaced   {size}"));
        let too_large = PlannedFile { does_not_fit: true, ..planned(PlanItemState::New, None) };
        assert_eq!(row(&too_large), format!("does not fit        {size}"));
        let blocked = shown(PlanItemState::Blocked("a folder has this name".to_owned()), None);
        assert_eq!(blocked, "blocked             notes/a: a folder has this name");
    }

    #[test]
    fn json_rows_have_the_same_action_as_one_word() {
        let planned = PlannedFile {
            target: "local/notes/a".to_owned(),
            ..planned(PlanItemState::Differs, Some(Decision::KeepBoth))
        };
        assert_eq!(
            json_row(&planned),
            r#"{"plan":"differs_both_kept","path":"notes/a","target":"local/notes/a","kind":"file","size":100,"resume_at":0,"why":null}"#
        );
    }
}
