//! How a plan looks: a row or an object for each file, and for each folder that is not there. Pure.

use quiver_client::journal::percent;
use quiver_client::transfers::PlannedFile;
use quiver_client::tree::{Decision, ItemKind, PlanItemState};
use quiver_protocol::text::display_safe;

use super::json::{self, PlannedLine};

/// `resume at 45 %      notes/a.txt (600000000 bytes)`
#[must_use]
pub fn line(planned: &PlannedFile) -> String {
    let target = display_safe(&planned.target);
    let (size, slash) = match planned.kind {
        ItemKind::File { size, .. } => (size, ""),
        ItemKind::Folder { .. } => (0, "/"),
    };
    let word = match word(planned) {
        "resume" => format!("resume at {} %", percent(planned.resume_at, size)),
        word => word.to_owned(),
    };
    let after = match (&planned.state, planned.kind) {
        (PlanItemState::Blocked(why), _) => format!(": {}", display_safe(why)),
        (_, ItemKind::File { size: 1, .. }) => " (1 byte)".to_owned(),
        (_, ItemKind::File { size, .. }) => format!(" ({size} bytes)"),
        (_, ItemKind::Folder { .. }) => String::new(),
    };
    format!("{word:<18}  {target}{slash}{after}")
}

/// The same for a program.
#[must_use]
pub fn object(planned: &PlannedFile) -> String {
    let (kind, size) = match planned.kind {
        ItemKind::File { size, .. } => ("file", size),
        ItemKind::Folder { .. } => ("folder", 0),
    };
    let why =
        if let PlanItemState::Blocked(why) = &planned.state { Some(why.as_str()) } else { None };
    json::line(&PlannedLine {
        plan: &word(planned).replace(", ", "_").replace(' ', "_"),
        path: &planned.source,
        target: planned.target.clone(),
        kind,
        size,
        resume_at: planned.resume_at,
        why,
    })
}

/// What would be done.
fn word(planned: &PlannedFile) -> &'static str {
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
        let resume_at = if let PlanItemState::Partial(begun) = state { begun } else { 0 };
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
    fn each_file_has_its_word() {
        let said = |state, decision| line(&planned(state, decision));
        let size = "notes/a (100 bytes)";
        assert_eq!(said(PlanItemState::New, None), format!("new                 {size}"));
        assert_eq!(said(PlanItemState::Partial(45), None), format!("resume at 45 %      {size}"));
        assert_eq!(said(PlanItemState::Same, None), format!("same                {size}"));
        assert_eq!(said(PlanItemState::Differs, None), format!("differs             {size}"));
        let replaced = said(PlanItemState::Differs, Some(Decision::Replace));
        assert_eq!(replaced, format!("differs, replaced   {size}"));
        let too_large = PlannedFile { does_not_fit: true, ..planned(PlanItemState::New, None) };
        assert_eq!(line(&too_large), format!("does not fit        {size}"));
        let blocked = said(PlanItemState::Blocked("a folder has that name".to_owned()), None);
        assert_eq!(blocked, "blocked             notes/a: a folder has that name");
    }

    #[test]
    fn a_program_reads_the_same() {
        let planned = PlannedFile {
            target: "here/notes/a".to_owned(),
            ..planned(PlanItemState::Differs, Some(Decision::KeepBoth))
        };
        assert_eq!(
            object(&planned),
            r#"{"plan":"differs_both_kept","path":"notes/a","target":"here/notes/a","kind":"file","size":100,"resume_at":0,"why":null}"#
        );
    }
}
