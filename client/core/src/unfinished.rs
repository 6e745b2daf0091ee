//! What is unfinished on this machine, whichever process began it; and its removal.

use std::io;

use cap_std::fs::Dir;
use quiver_protocol::text::display_safe;
use quiver_transfer::file_system::stat;
use quiver_transfer::{PARTIAL_PREFIX, PARTIAL_SUFFIX, PartialFile, blocking};

use crate::error::ClientError;
use crate::journal::{Direction, InvalidEntry, Journal, JournalEntry, TransferSubject};
use crate::unix;

/// A transfer that is unfinished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedTransfer {
    /// What it is, and what it takes to resume it.
    pub entry: JournalEntry,
    /// Bytes of its partial file; `None` where that is not here at all.
    pub stored: Option<u64>,
    /// Whether some process carries it out now.
    pub is_running: bool,
}

impl UnfinishedTransfer {
    /// What it is called in a sentence.
    #[must_use]
    pub fn display_name(&self) -> String {
        display_name(&self.entry)
    }
}

/// All that is unfinished, the oldest first, and what in the journal is no entry.
///
/// # Errors
/// [`ClientError::System`] where the journal cannot be read.
pub async fn list(
    journal: &Journal,
) -> Result<(Vec<UnfinishedTransfer>, Vec<InvalidEntry>), ClientError> {
    let (entries, invalid) = read(journal).await?;
    let mut unfinished = Vec::with_capacity(entries.len());
    for entry in entries {
        unfinished.push(look(journal, entry).await);
    }
    Ok((unfinished, invalid))
}

/// Removes the partial file of a transfer and its entry, unless some process carries it out; whether it did.
///
/// # Errors
/// What the system says.
pub async fn remove(journal: &Journal, entry: &JournalEntry) -> io::Result<bool> {
    let (journal, entry) = (journal.clone(), entry.clone());
    blocking::run_io(move || remove_blocking(&journal, &entry)).await
}

/// The journal's entries, the oldest first, and what in it is none.
pub(crate) async fn read(
    journal: &Journal,
) -> Result<(Vec<JournalEntry>, Vec<InvalidEntry>), ClientError> {
    let journal = journal.clone();
    let read = blocking::run_io(move || journal.read()).await;
    read.map_err(|source| ClientError::System { what: "cannot read the transfers", source })
}

fn remove_blocking(journal: &Journal, entry: &JournalEntry) -> io::Result<bool> {
    if journal.is_at_it(entry.id()) {
        return Ok(false);
    }
    if let Some((folder, name)) = partial_file(entry)
        && stat(&folder, &name).is_ok_and(|found| found.is_file())
    {
        match PartialFile::open(&folder, entry.id()) {
            // Somebody else's is left to them.
            Ok(partial) if unix::is_mine_alone(&partial.content()?)? => partial.discard(),
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

/// What is here of a transfer.
pub(crate) async fn look(journal: &Journal, entry: JournalEntry) -> UnfinishedTransfer {
    let (journal, copy) = (journal.clone(), entry.clone());
    let looked = blocking::run(move || {
        let mut unfinished = look_blocking(entry);
        unfinished.is_running |= journal.is_at_it(unfinished.entry.id());
        unfinished
    });
    // Fails only where the runtime is going down.
    let nothing = UnfinishedTransfer { entry: copy, stored: None, is_running: false };
    looked.await.unwrap_or(nothing)
}

fn look_blocking(entry: JournalEntry) -> UnfinishedTransfer {
    let is_here = entry.direction == Direction::Get && entry.file().is_some();
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
        None => UnfinishedTransfer { entry, stored: is_here.then_some(0), is_running: false },
    }
}

/// The folder and the name of a transfer's partial file, where that is here and not on the server.
fn partial_file(entry: &JournalEntry) -> Option<(Dir, String)> {
    let file = entry.file().filter(|_| entry.direction == Direction::Get)?;
    let folder = Dir::open_ambient_dir(file.local.parent()?, cap_std::ambient_authority()).ok()?;
    Some((folder, format!("{PARTIAL_PREFIX}{:016x}{PARTIAL_SUFFIX}", entry.id())))
}

/// What a transfer is called in a sentence.
pub(crate) fn display_name(entry: &JournalEntry) -> String {
    let shown = match &entry.subject {
        TransferSubject::File(file) => file.path.to_string(),
        TransferSubject::Tree(tree) => tree.named.join(" "),
    };
    display_safe(&shown).into_owned()
}
