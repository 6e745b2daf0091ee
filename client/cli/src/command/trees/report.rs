//! What a plan would do, for whoever wants to know before anything moves.

use quiver_protocol::text::display_safe;

use super::Planner;
use crate::failure::Failure;
use crate::output::json::{self, Planned};
use crate::output::{Output, Rows, share};
use quiver_client::tree::{Decision, Item, Kind, State};

/// What has to be enough for a plan. Bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// All files together.
    pub(super) free: u64,
    /// One file.
    pub(super) largest: u64,
}

/// Why what is to move does not fit, if so.
pub(super) async fn does_not_fit(planner: &Planner, room: Room) -> Result<Option<String>, Failure> {
    let moving = planner.work(|plan| plan.moving()).await?;
    let begun = planner.work(|plan| plan.begun()).await?;
    let due = moving.bytes.saturating_sub(begun);
    Ok((due > room.free).then(|| format!("{due} bytes are to come where {} are free", room.free)))
}

/// Prints a line for each file, and for each folder that is not there.
pub(super) async fn show(
    planner: &Planner,
    output: &Output,
    as_json: bool,
    room: Room,
    shown: impl Fn(&Item) -> String,
) -> Result<(), Failure> {
    let mut rows = Rows::bare(output);
    let mut left = room.free;
    let mut number = 0;
    loop {
        let items = planner.after(number).await?;
        let Some(last) = items.last() else { break };
        number = last.number;
        for item in items {
            let is_folder = matches!(item.found.kind, Kind::Folder { .. });
            if is_folder && item.state == State::Same {
                continue;
            }
            let (word, begun) = word(&item, &mut left, room.largest);
            let target = shown(&item);
            let row = if as_json {
                planned(&item, word, begun, target)
            } else {
                line(&item, word, begun, &target)
            };
            rows.push(&row).await?;
        }
    }
    rows.finish().await
}

/// What would be done, and how much of it is there already. What fits takes its room.
fn word(item: &Item, left: &mut u64, largest: u64) -> (&'static str, u64) {
    let (word, begun) = match (&item.state, item.decision) {
        (State::Same, _) => return ("same", 0),
        (State::Blocked(_), _) => return ("blocked", 0),
        (State::Alike | State::Differs, None) => return ("differs", 0),
        (State::Alike | State::Differs, Some(Decision::Skip)) => return ("differs, kept", 0),
        (State::Alike | State::Differs, Some(Decision::Replace)) => ("differs, replaced", 0),
        (State::Alike | State::Differs, Some(Decision::KeepBoth)) => ("differs, both kept", 0),
        (State::New, _) => ("new", 0),
        (State::Begun(begun), _) => ("resume", *begun),
    };
    let Kind::File { size, .. } = item.found.kind else { return (word, 0) };
    match left.checked_sub(size.saturating_sub(begun)) {
        Some(rest) if size <= largest => {
            *left = rest;
            (word, begun)
        }
        _ => ("does not fit", begun),
    }
}

/// `resume at 45 %      notes/a.txt (600000000 bytes)`
fn line(item: &Item, word: &str, begun: u64, target: &str) -> String {
    let target = display_safe(target);
    let (size, slash) = match item.found.kind {
        Kind::File { size, .. } => (size, ""),
        Kind::Folder { .. } => (0, "/"),
    };
    let word = match word {
        "resume" => format!("resume at {} %", share(begun, size)),
        word => word.to_owned(),
    };
    let after = match (&item.state, item.found.kind) {
        (State::Blocked(why), _) => format!(": {}", display_safe(why)),
        (_, Kind::File { size: 1, .. }) => " (1 byte)".to_owned(),
        (_, Kind::File { size, .. }) => format!(" ({size} bytes)"),
        (_, Kind::Folder { .. }) => String::new(),
    };
    format!("{word:<18}  {target}{slash}{after}")
}

fn planned(item: &Item, word: &str, begun: u64, target: String) -> String {
    let (kind, size) = match item.found.kind {
        Kind::File { size, .. } => ("file", size),
        Kind::Folder { .. } => ("folder", 0),
    };
    let why = if let State::Blocked(why) = &item.state { Some(why.as_str()) } else { None };
    json::line(&Planned {
        plan: &word.replace(", ", "_").replace(' ', "_"),
        path: &item.found.source,
        target,
        kind,
        size,
        resume_at: begun,
        why,
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use quiver_protocol::{FilePath, Timestamp};

    use super::*;
    use quiver_client::tree::Found;

    fn item(state: State, decision: Option<Decision>) -> Item {
        let path = FilePath::parse("notes/a").unwrap();
        let modified = Timestamp::from(SystemTime::UNIX_EPOCH);
        let kind = Kind::File { size: 100, modified };
        let found = Found { trunk: 0, source: path.clone(), target: path, kind };
        Item { number: 1, found, state, decision }
    }

    #[test]
    fn each_file_has_its_word() {
        let mut left = 260;
        let mut said = |state, decision| {
            let item = item(state, decision);
            let (word, begun) = word(&item, &mut left, 100);
            line(&item, word, begun, "notes/a")
        };
        let size = "notes/a (100 bytes)";
        assert_eq!(said(State::New, None), format!("new                 {size}"));
        assert_eq!(said(State::Begun(45), None), format!("resume at 45 %      {size}"));
        assert_eq!(said(State::Same, None), format!("same                {size}"));
        assert_eq!(said(State::Differs, None), format!("differs             {size}"));
        let replaced = said(State::Differs, Some(Decision::Replace));
        assert_eq!(replaced, format!("differs, replaced   {size}"));
        assert_eq!(said(State::New, None), format!("does not fit        {size}"));
        let blocked = said(State::Blocked("a folder stands there".to_owned()), None);
        assert_eq!(blocked, "blocked             notes/a: a folder stands there");
        assert_eq!(word(&item(State::New, None), &mut 1000, 99), ("does not fit", 0));
    }

    #[test]
    fn a_program_reads_the_same() {
        let item = item(State::Differs, Some(Decision::KeepBoth));
        let (word, begun) = word(&item, &mut 100, 100);
        assert_eq!(
            planned(&item, word, begun, "here/notes/a".to_owned()),
            r#"{"plan":"differs_both_kept","path":"notes/a","target":"here/notes/a","kind":"file","size":100,"resume_at":0,"why":null}"#
        );
    }
}
