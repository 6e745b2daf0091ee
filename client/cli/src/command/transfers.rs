//! `transfers`: what is unfinished on this machine, whoever began it; and its removal.

use std::io;

use cap_std::fs::Dir;
use chrono::Local;
use quiver_protocol::Timestamp;
use quiver_protocol::text::{display_path, display_safe};
use quiver_transfer::blocking;
use quiver_transfer::file_system::stat;
use quiver_transfer::{PARTIAL_PREFIX, PARTIAL_SUFFIX, PartialFile};
use serde::Serialize;

use crate::cli;
use crate::failure::Failure;
use crate::output::{Output, Rows, human, json};
use quiver_client::journal::{Direction, Entry, Journal, Strange, What};
use quiver_client::unix;

/// A transfer as programs see it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    direction: Direction,
    kind: &'static str,
    server: String,
    /// A file's path on the server; the folder there that a tree is put into.
    path: &'a str,
    /// Here: a file, or the folder that a tree is put from or into.
    local: String,
    /// What was named of a tree.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    named: &'a [String],
    /// `null` for a tree.
    size: Option<u64>,
    /// `null` for a tree, and for a put: its part is on the server.
    here: Option<u64>,
    running: bool,
    begun: Timestamp,
}

impl<'a> Row<'a> {
    fn of(entry: &'a Entry, here: Here) -> Self {
        let (kind, path, local, named, size) = match &entry.what {
            What::File(file) => ("file", file.path.as_str(), &file.local, &[][..], Some(file.size)),
            What::Tree(tree) => ("tree", tree.to.as_str(), &tree.folder, &tree.named[..], None),
        };
        Self {
            direction: entry.direction,
            kind,
            server: entry.origin.server.to_string(),
            path,
            local: local.display().to_string(),
            named,
            size,
            here: here.bytes,
            running: here.is_running,
            begun: entry.begun,
        }
    }
}

/// What is here of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Here {
    /// Bytes of its part; `None` where that is not here at all.
    pub(super) bytes: Option<u64>,
    /// Whether some process goes on with it now.
    pub(super) is_running: bool,
}

/// Lists what is unfinished, or removes it.
///
/// # Errors
/// [`Failure`].
pub async fn transfers(
    journal: &Journal,
    output: &Output,
    arguments: &cli::Transfers,
) -> Result<(), Failure> {
    let entries = read(journal, output).await?;
    if arguments.clean {
        clean(journal, output, entries).await
    } else {
        list(journal, output, arguments.json, entries).await
    }
}

/// The journal's entries. What is strange in there is reported, and not believed.
pub(super) async fn read(journal: &Journal, output: &Output) -> Result<Vec<Entry>, Failure> {
    let journal = journal.clone();
    let read = blocking::run_io(move || journal.read()).await;
    let (entries, strange) =
        read.map_err(|source| Failure::System { what: "cannot read the transfers", source })?;
    for Strange { path, why } in strange {
        let what = format!("{} is no transfer: {}", display_path(&path), display_safe(&why));
        output.failure(&Failure::usage(what, "remove it")).await;
    }
    Ok(entries)
}

async fn list(
    journal: &Journal,
    output: &Output,
    as_json: bool,
    entries: Vec<Entry>,
) -> Result<(), Failure> {
    let mut rows = Rows::bare(output);
    let is_empty = entries.is_empty();
    for entry in entries {
        let (entry, here) = look(journal, entry).await;
        rows.push(&if as_json {
            json::line(&Row::of(&entry, here))
        } else {
            human::transfer(&entry, here.bytes, here.is_running, &Local)
        })
        .await?;
    }
    rows.finish().await?;
    if is_empty && !as_json {
        output.say("nothing is unfinished").await;
    }
    Ok(())
}

async fn clean(journal: &Journal, output: &Output, entries: Vec<Entry>) -> Result<(), Failure> {
    let mut failed = None;
    for entry in entries {
        let journal = journal.clone();
        let shown = shown(&entry);
        let local = match &entry.what {
            What::File(file) => file.local.clone(),
            What::Tree(tree) => tree.folder.clone(),
        };
        let what_goes = match (&entry.what, entry.direction) {
            (What::File(_), Direction::Get) => "removed what was left",
            (What::File(_), Direction::Put) => "forgotten; the server keeps what it has for 7 days",
            (What::Tree(_), _) => "forgotten",
        };
        match blocking::run_io(move || remove(&journal, &entry)).await {
            Ok(true) => output.say(format!("{shown}: {what_goes}")).await,
            Ok(false) => output.say(format!("{shown} is under way: nothing is removed")).await,
            Err(source) => {
                let failure = Failure::Leftover { path: local, source };
                output.failure(&failure).await;
                failed = Some(failure);
            }
        }
    }
    failed.map_or(Ok(()), |_| Err(Failure::NotClean))
}

/// Removes a part and its entry, unless some process has the part; whether it did.
fn remove(journal: &Journal, entry: &Entry) -> io::Result<bool> {
    if journal.is_at_it(entry.id()) {
        return Ok(false);
    }
    if let Some((folder, name)) = place(entry)
        && stat(&folder, &name).is_ok_and(|found| found.is_file())
    {
        match PartialFile::open(&folder, entry.id()) {
            // Somebody else's is left to them.
            Ok(part) if unix::is_mine_alone(&part.content()?)? => part.discard(),
            Ok(_) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Unsupported
                ) =>
            {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
    journal.remove(entry.id())?;
    Ok(true)
}

/// What is here of a transfer, on a blocking thread.
pub(super) async fn look(journal: &Journal, entry: Entry) -> (Entry, Here) {
    let (journal, copy) = (journal.clone(), entry.clone());
    let looked = blocking::run_io(move || {
        let mut here = here(&entry);
        here.is_running |= journal.is_at_it(entry.id());
        Ok((entry, here))
    });
    // Fails only where the runtime is going down.
    looked.await.unwrap_or((copy, Here { bytes: None, is_running: false }))
}

fn here(entry: &Entry) -> Here {
    let is_here = entry.direction == Direction::Get && entry.file().is_some();
    let nothing = Here { bytes: is_here.then_some(0), is_running: false };
    let Some((folder, name)) = place(entry) else { return nothing };
    match stat(&folder, &name) {
        Ok(found) if found.is_file() => {
            let locked = PartialFile::open(&folder, entry.id())
                .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
            Here { bytes: Some(found.len()), is_running: locked }
        }
        _ => nothing,
    }
}

/// The folder and the name of a transfer's part, where that is here and not on the server.
fn place(entry: &Entry) -> Option<(Dir, String)> {
    let file = entry.file().filter(|_| entry.direction == Direction::Get)?;
    let folder = Dir::open_ambient_dir(file.local.parent()?, cap_std::ambient_authority()).ok()?;
    Some((folder, format!("{PARTIAL_PREFIX}{:016x}{PARTIAL_SUFFIX}", entry.id())))
}

/// What a transfer is called in a sentence.
pub(super) fn shown(entry: &Entry) -> String {
    let shown = match &entry.what {
        What::File(file) => file.path.to_string(),
        What::Tree(tree) => tree.named.join(" "),
    };
    display_safe(&shown).into_owned()
}
