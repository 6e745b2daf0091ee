//! Unfinished transfers of all processes of this user: listing and removal.

use std::io;

use cap_std::fs::Dir;
use quiver_protocol::text::display_safe;
use quiver_transfer::file_system::stat;
use quiver_transfer::{PARTIAL_PREFIX, PARTIAL_SUFFIX, PartialFile, blocking};

use crate::error::ClientError;
use crate::journal::{Direction, InvalidEntry, Journal, JournalEntry, TransferSubject};
use crate::unix;

/// An unfinished transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedTransfer {
    /// The journal entry, with all that is needed to resume.
    pub entry: JournalEntry,
    /// Bytes of the local partial file; `None` for an upload or a tree, which have none.
    pub stored: Option<u64>,
    /// Whether a process runs the transfer now.
    pub is_running: bool,
}

impl UnfinishedTransfer {
    /// The transfer's name in texts, escaped for display.
    #[must_use]
    pub fn display_name(&self) -> String {
        display_name(&self.entry)
    }
}

/// All unfinished transfers, oldest first, and the invalid entries of the journal.
///
/// # Errors
/// [`ClientError::System`] if the journal cannot be read.
pub async fn list(
    journal: &Journal,
) -> Result<(Vec<UnfinishedTransfer>, Vec<InvalidEntry>), ClientError> {
    let (entries, invalid) = read(journal).await?;
    let mut unfinished = Vec::with_capacity(entries.len());
    for entry in entries {
        unfinished.push(inspect(journal, entry).await);
    }
    Ok((unfinished, invalid))
}

/// Removes a transfer's partial file and journal entry, unless a process runs the transfer. Returns whether it
/// removed them.
///
/// # Errors
/// The system's error.
pub async fn remove(journal: &Journal, entry: &JournalEntry) -> io::Result<bool> {
    let (journal, entry) = (journal.clone(), entry.clone());
    blocking::run_io(move || remove_blocking(&journal, &entry)).await
}

/// The valid entries of the journal, oldest first, and the invalid ones.
pub(crate) async fn read(
    journal: &Journal,
) -> Result<(Vec<JournalEntry>, Vec<InvalidEntry>), ClientError> {
    let journal = journal.clone();
    let read = blocking::run_io(move || journal.read()).await;
    read.map_err(|source| ClientError::System {
        what: "cannot read the unfinished transfers",
        source,
    })
}

fn remove_blocking(journal: &Journal, entry: &JournalEntry) -> io::Result<bool> {
    if journal.is_running(entry.id()) {
        return Ok(false);
    }
    if let Some((folder, name)) = partial_file(entry)
        && stat(&folder, &name).is_ok_and(|found| found.is_file())
    {
        match PartialFile::open(&folder, entry.id()) {
            // A file that another user owns or can write to is not removed.
            Ok(partial) if unix::is_exclusively_owned(&partial.content()?)? => partial.discard(),
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

/// The state of an entry's transfer: its partial file, and whether it runs.
pub(crate) async fn inspect(journal: &Journal, entry: JournalEntry) -> UnfinishedTransfer {
    let (journal, copy) = (journal.clone(), entry.clone());
    let inspected = blocking::run(move || {
        let mut unfinished = inspect_blocking(entry);
        unfinished.is_running |= journal.is_running(unfinished.entry.id());
        unfinished
    });
    // Fails only while the runtime shuts down.
    let unknown = UnfinishedTransfer { entry: copy, stored: None, is_running: false };
    inspected.await.unwrap_or(unknown)
}

fn inspect_blocking(entry: JournalEntry) -> UnfinishedTransfer {
    let has_partial_file = entry.direction == Direction::Get && entry.file().is_some();
    let found = partial_file(&entry).and_then(|(folder, name)| {
        let found = stat(&folder, &name).ok().filter(|found| found.is_file())?;
        let locked = PartialFile::open(&folder, entry.id())
            .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        Some((found.len(), locked))
    });
    match found {
        Some((length, is_running)) => {
            UnfinishedTransfer { entry, stored: Some(length), is_running }
        }
        None => {
            UnfinishedTransfer { entry, stored: has_partial_file.then_some(0), is_running: false }
        }
    }
}

/// The folder and name of a transfer's local partial file; `None` if it has none.
fn partial_file(entry: &JournalEntry) -> Option<(Dir, String)> {
    let file = entry.file().filter(|_| entry.direction == Direction::Get)?;
    let folder = Dir::open_ambient_dir(file.local.parent()?, cap_std::ambient_authority()).ok()?;
    Some((folder, format!("{PARTIAL_PREFIX}{:016x}{PARTIAL_SUFFIX}", entry.id())))
}

/// A transfer's name in texts, escaped for display.
pub(crate) fn display_name(entry: &JournalEntry) -> String {
    let name = match &entry.subject {
        TransferSubject::File(file) => file.path.to_string(),
        TransferSubject::Tree(tree) => tree.named.join(" "),
    };
    display_safe(&name).into_owned()
}
