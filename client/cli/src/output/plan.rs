//! How a plan looks: a row or an object for each file, and for each folder that is not there. Pure.

use quiver_client::journal::percent;
use quiver_client::transfers::PlannedFile;
use quiver_client::tree::{Decision, ItemState, Kind};
use quiver_protocol::text::display_safe;

use super::json::{self, Planned};

/// `resume at 45 %      notes/a.txt (600000000 bytes)`
#[must_use]
pub fn line(planned: &PlannedFile) -> String {
    let target = display_safe(&planned.target);
    let (size, slash) = match planned.kind {
        Kind::File { size, .. } => (size, ""),
        Kind::Folder { .. } => (0, "/"),
    };
    let word = match word(planned) {
        "resume" => format!("resume at {} %", percent(planned.resume_at, size)),
        word => word.to_owned(),
    };
    let after = match (&planned.state, planned.kind) {
        (ItemState::Blocked(why), _) => format!(": {}", display_safe(why)),
        (_, Kind::File { size: 1, .. }) => " (1 byte)".to_owned(),
        (_, Kind::File { size, .. }) => format!(" ({size} bytes)"),
        (_, Kind::Folder { .. }) => String::new(),
    };
    format!("{word:<18}  {target}{slash}{after}")
}

/// The same for a program.
#[must_use]
pub fn object(planned: &PlannedFile) -> String {
    let (kind, size) = match planned.kind {
        Kind::File { size, .. } => ("file", size),
        Kind::Folder { .. } => ("folder", 0),
    };
    let why = if let ItemState::Blocked(why) = &planned.state { Some(why.as_str()) } else { None };
    json::line(&Planned {
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
        (ItemState::Same, _) => "same",
        (ItemState::Blocked(_), _) => "blocked",
        (ItemState::Alike | ItemState::Differs, None) => "differs",
        (ItemState::Alike | ItemState::Differs, Some(Decision::Skip)) => "differs, kept",
        _ if planned.does_not_fit => "does not fit",
        (ItemState::Alike | ItemState::Differs, Some(Decision::Replace)) => "differs, replaced",
        (ItemState::Alike | ItemState::Differs, Some(Decision::KeepBoth)) => "differs, both kept",
        (ItemState::New, _) => "new",
        (ItemState::Begun(_), _) => "resume",
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use quiver_protocol::{FilePath, Timestamp};

    use super::*;

    fn planned(state: ItemState, decision: Option<Decision>) -> PlannedFile {
        let modified = Timestamp::from(SystemTime::UNIX_EPOCH);
        let resume_at = if let ItemState::Begun(begun) = state { begun } else { 0 };
        PlannedFile {
            source: FilePath::parse("notes/a").unwrap(),
            target: "notes/a".to_owned(),
            kind: Kind::File { size: 100, modified },
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
        assert_eq!(said(ItemState::New, None), format!("new                 {size}"));
        assert_eq!(said(ItemState::Begun(45), None), format!("resume at 45 %      {size}"));
        assert_eq!(said(ItemState::Same, None), format!("same                {size}"));
        assert_eq!(said(ItemState::Differs, None), format!("differs             {size}"));
        let replaced = said(ItemState::Differs, Some(Decision::Replace));
        assert_eq!(replaced, format!("differs, replaced   {size}"));
        let too_large = PlannedFile { does_not_fit: true, ..planned(ItemState::New, None) };
        assert_eq!(line(&too_large), format!("does not fit        {size}"));
        let blocked = said(ItemState::Blocked("a folder stands there".to_owned()), None);
        assert_eq!(blocked, "blocked             notes/a: a folder stands there");
    }

    #[test]
    fn a_program_reads_the_same() {
        let planned = PlannedFile {
            target: "here/notes/a".to_owned(),
            ..planned(ItemState::Differs, Some(Decision::KeepBoth))
        };
        assert_eq!(
            object(&planned),
            r#"{"plan":"differs_both_kept","path":"notes/a","target":"here/notes/a","kind":"file","size":100,"resume_at":0,"why":null}"#
        );
    }
}
