//! Transfers that are not done: a small file each, so that any later run finds them, whatever became of
//! the one that began them. Knows files, nothing of connections.
//!
//! A file is named by the transfer's number, which is made of what the transfer is: one that says
//! something else than its name does was not written here, and is not believed. Whoever is at it keeps its
//! file locked.

mod entry;
mod unfinished;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use quiver_protocol::text::{display_path, display_safe};
use quiver_transfer::file_system::{FileLock, is_locked, sync_file, try_lock};
use thiserror::Error;

use crate::folders::{Folders, FolderError};
use crate::unix;
pub use entry::{
    Direction, JournalEntry, ServerRef, SingleFile, TransferSubject, TreeSelection, id,
};
pub use unfinished::{FileRecord, TreeRecord, UnfinishedFiles, UnfinishedShare};

/// The longest file that is read, in bytes; a command line has at most 2 MiB.
const LONGEST: u64 = 4 * 1024 * 1024;

/// The folder of unfinished transfers. It need not exist.
#[derive(Debug, Clone)]
pub struct Journal {
    /// Or why there can be none: nothing is found then, and nothing can be written.
    folder: Result<PathBuf, FolderError>,
}

/// A file in the folder that is no entry.
#[derive(Debug, Error)]
#[error("{}: {}", display_path(.path), display_safe(.why))]
pub struct InvalidEntry {
    /// The file.
    pub path: PathBuf,
    /// Why it is not believed.
    pub why: String,
}

/// That this process is at a transfer: its entry's file, locked until this is dropped.
#[derive(Debug)]
pub struct EntryLock {
    _file: File,
    /// `None` where nothing can be locked: another process does not see then that this one is at it. The
    /// partial file is safe all the same, for such are not shared without a lock.
    _lock: Option<FileLock>,
}

impl Journal {
    /// The journal in a folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder: Ok(folder) }
    }

    /// The journal of a user.
    #[must_use]
    pub fn from_folders(folders: &Folders) -> Self {
        let folder = folders.state().map(|state| state.join("transfers"));
        Self { folder: folder.map_err(Clone::clone) }
    }

    /// Makes sure that entries can be written. Writes nothing. Blocks.
    ///
    /// # Errors
    /// Why not, for people.
    pub fn check(&self) -> Result<(), String> {
        let folder = self.folder.as_deref().map_err(ToString::to_string)?;
        let failed = |error| format!("cannot write {}: {error}", display_path(folder));
        unix::may_create_in(folder).map_err(failed)
    }

    fn folder(&self) -> io::Result<&Path> {
        let none = |why: &FolderError| io::Error::new(io::ErrorKind::NotFound, why.clone());
        self.folder.as_deref().map_err(none)
    }

    /// Writes an entry, in one step: a reader finds the old one, if any, or this.
    ///
    /// # Errors
    /// What the system says; a path that is not UTF-8 cannot be written.
    pub fn write(&self, entry: &JournalEntry) -> io::Result<EntryLock> {
        let text = entry.text()?;
        unix::create_private_folder(self.folder()?)?;
        let name = self.name(entry.id())?;
        let staged = name.with_extension(format!("{}.new", std::process::id()));
        // Left behind by a process of the same number.
        match fs::remove_file(&staged) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = unix::create_private(&staged)?;
        // It is new: there is nothing to wait for.
        let lock = match try_lock(&file) {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
            lock => Ok(lock.ok()),
        };
        let written = lock.and_then(|lock| {
            file.write_all(text.as_bytes())?;
            sync_file(&file)?;
            fs::rename(&staged, &name)?;
            Ok(lock)
        });
        let lock = written.inspect_err(|_| {
            // The first error is the one to tell.
            let _ = fs::remove_file(&staged);
        })?;
        Ok(EntryLock { _file: file, _lock: lock })
    }

    /// Removes an entry; one that is not there is removed.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(&self, id: u64) -> io::Result<()> {
        match self.name(id).and_then(fs::remove_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes an entry on behalf of who is done with it, unless that is now of somebody else, who is at the
    /// same. Where that fails, whoever goes on with it finds that it is done.
    fn forget(&self, id: u64, mine: Option<EntryLock>) {
        if mine.is_some() || !self.is_at_it(id) {
            let _ = self.remove(id);
        }
    }

    /// One entry, where it is there and believed.
    #[must_use]
    pub fn find(&self, id: u64) -> Option<JournalEntry> {
        read(&self.name(id).ok()?).ok()
    }

    /// Whether some process is at a transfer whose entry is there.
    #[must_use]
    pub fn is_at_it(&self, id: u64) -> bool {
        let file = self.name(id).and_then(|name| open(&name));
        file.is_ok_and(|file| is_locked(&file))
    }

    /// All entries, the oldest first, and what is not believed.
    ///
    /// # Errors
    /// What the system says of the folder; one that does not exist is empty.
    pub fn read(&self) -> io::Result<(Vec<JournalEntry>, Vec<InvalidEntry>)> {
        let names = match self.folder().and_then(fs::read_dir) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
            Err(error) => return Err(error),
        };
        let (mut entries, mut invalid) = (Vec::new(), Vec::new());
        for name in names {
            let path = name?.path();
            // One that is being written, or was when its writer was killed.
            if path.extension().is_some_and(|extension| extension == "new") {
                continue;
            }
            match read(&path) {
                Ok(entry) if self.name(entry.id()).is_ok_and(|name| name == path) => {
                    entries.push(entry);
                }
                Ok(_) => {
                    invalid.push(InvalidEntry { path, why: "it belongs elsewhere".to_owned() })
                }
                // It came to its end meanwhile.
                Err(_) if path.symlink_metadata().is_err() => {}
                Err(why) => invalid.push(InvalidEntry { path, why }),
            }
        }
        entries.sort_by_cached_key(|entry| (entry.started, entry.id()));
        invalid.sort_by(|one, other| one.path.cmp(&other.path));
        Ok((entries, invalid))
    }

    fn name(&self, id: u64) -> io::Result<PathBuf> {
        Ok(self.folder()?.join(format!("{id:016x}.json")))
    }
}

/// So much of something as per cent, rounded down: 100 only when it is all there.
#[must_use]
pub fn percent(position: u64, size: u64) -> u64 {
    let hundredths = u128::from(position) * 100 / u128::from(size.max(1));
    u64::try_from(hundredths).unwrap_or(u64::MAX)
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Never through a link, never waiting for the other end of a pipe.
    options.read(true).custom_flags(unix::NO_SURPRISES);
    options.open(path)
}

fn read(path: &Path) -> Result<JournalEntry, String> {
    let file = open(path).map_err(|error| error.to_string())?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err("it is no file".to_owned());
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(|error| error.to_string())?;
    JournalEntry::parse(&text)
}

#[cfg(test)]
mod tests;
