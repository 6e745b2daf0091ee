//! The journal of unfinished transfers: one small file for each, so that a later run finds them even if the process
//! that started them was killed. Handles files only, no connections.
//!
//! A file's name is the transfer's id, a hash of what identifies the transfer. An entry whose content does not match
//! its name is invalid, because this program has not written it. The process that runs a transfer keeps its file
//! locked.

mod entry;
mod unfinished;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use quiver_protocol::text::{display_path, display_safe};
use quiver_transfer::file_system::{FileLock, is_locked, sync_file, try_lock};
use thiserror::Error;

use crate::folders::{FolderError, Folders};
use crate::unix;
pub use entry::{
    Direction, JournalEntry, ServerRef, SingleFile, TransferSubject, TreeSelection, file_id,
};
pub use unfinished::{FileRecord, TreeRecord, UnfinishedFiles, UnfinishedShare};

/// The longest entry that is read, in bytes. A command line has at most 2 MiB.
const MAX_ENTRY_BYTES: u64 = 4 * 1024 * 1024;

/// The folder of unfinished transfers. It does not need to exist.
#[derive(Debug, Clone)]
pub struct Journal {
    /// `Err` with the reason if there is no folder: the journal is then empty and cannot be written.
    folder: Result<PathBuf, FolderError>,
}

/// A file in the folder that is not a valid entry.
#[derive(Debug, Error)]
#[error("{}: {}", display_path(.path), display_safe(.why))]
pub struct InvalidEntry {
    /// The file.
    pub path: PathBuf,
    /// Why it is invalid.
    pub why: String,
}

/// The lock on an entry's file, which shows that this process runs the transfer. Released when dropped.
#[derive(Debug)]
pub struct EntryLock {
    _file: File,
    /// `None` if the file system has no locks: other processes then do not see that this one runs the transfer. The
    /// partial file is safe nevertheless, because partial files are never shared without a lock.
    _lock: Option<FileLock>,
}

impl Journal {
    /// The journal in the given folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder: Ok(folder) }
    }

    /// A journal that is always empty and cannot be written, for transfers that are recorded elsewhere.
    #[must_use]
    pub(crate) fn none() -> Self {
        Self { folder: Err(FolderError::NoHome) }
    }

    /// Whether there is a folder for it.
    #[must_use]
    pub(crate) fn exists(&self) -> bool {
        self.folder.is_ok()
    }

    /// The journal of a user.
    #[must_use]
    pub fn from_folders(folders: &Folders) -> Self {
        let folder = folders.state().map(|state| state.join("transfers"));
        Self { folder: folder.map_err(Clone::clone) }
    }

    /// Checks that entries can be written. Writes nothing. Blocks.
    ///
    /// # Errors
    /// The reason, as a text for the user.
    pub fn check_writable(&self) -> Result<(), String> {
        let folder = self.folder.as_deref().map_err(ToString::to_string)?;
        let failed = |error| format!("cannot write {}: {error}", display_path(folder));
        unix::check_can_create_in(folder).map_err(failed)
    }

    fn folder(&self) -> io::Result<&Path> {
        let missing = |why: &FolderError| io::Error::new(io::ErrorKind::NotFound, why.clone());
        self.folder.as_deref().map_err(missing)
    }

    /// Writes an entry atomically: a reader finds the old entry, if any, or this one. Returns its lock.
    ///
    /// # Errors
    /// The system's error; also if a path is not UTF-8.
    pub fn write(&self, entry: &JournalEntry) -> io::Result<EntryLock> {
        let text = entry.encode()?;
        unix::create_private_folder(self.folder()?)?;
        let path = self.entry_path(entry.id())?;
        let staged = path.with_extension(format!("{}.new", std::process::id()));
        // A process with the same id may have left one.
        match fs::remove_file(&staged) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = unix::create_private(&staged)?;
        // The file is new, so no other process can hold its lock.
        let lock = match try_lock(&file) {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
            lock => Ok(lock.ok()),
        };
        let written = lock.and_then(|lock| {
            file.write_all(text.as_bytes())?;
            sync_file(&file)?;
            fs::rename(&staged, &path)?;
            Ok(lock)
        });
        let lock = written.inspect_err(|_| {
            // The first error is the one to report.
            let _ = fs::remove_file(&staged);
        })?;
        Ok(EntryLock { _file: file, _lock: lock })
    }

    /// Removes an entry. Succeeds if there is none.
    ///
    /// # Errors
    /// The system's error.
    pub fn remove(&self, id: u64) -> io::Result<()> {
        match self.entry_path(id).and_then(fs::remove_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes the entry of a finished transfer, unless another process runs the same transfer now. Ignores failures:
    /// a run that resumes the transfer finds that it is finished.
    fn remove_finished(&self, id: u64, own_lock: Option<EntryLock>) {
        if own_lock.is_some() || !self.is_running(id) {
            let _ = self.remove(id);
        }
    }

    /// The entry with this id, if it exists and is valid.
    #[must_use]
    pub fn find(&self, id: u64) -> Option<JournalEntry> {
        read(&self.entry_path(id).ok()?).ok()
    }

    /// Whether a process runs the transfer with this id, as its entry's lock shows.
    #[must_use]
    pub fn is_running(&self, id: u64) -> bool {
        let file = self.entry_path(id).and_then(|path| open(&path));
        file.is_ok_and(|file| is_locked(&file))
    }

    /// All valid entries, oldest first, and the invalid ones.
    ///
    /// # Errors
    /// The system's error if the folder cannot be read. A folder that does not exist is empty.
    pub fn read(&self) -> io::Result<(Vec<JournalEntry>, Vec<InvalidEntry>)> {
        let names = match self.folder().and_then(fs::read_dir) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
            Err(error) => return Err(error),
        };
        let (mut entries, mut invalid) = (Vec::new(), Vec::new());
        for name in names {
            let path = name?.path();
            // An entry that a process is writing, or was writing when it was killed.
            if path.extension().is_some_and(|extension| extension == "new") {
                continue;
            }
            match read(&path) {
                Ok(entry) if self.entry_path(entry.id()).is_ok_and(|expected| expected == path) => {
                    entries.push(entry);
                }
                Ok(_) => invalid.push(InvalidEntry {
                    path,
                    why: "its name does not match its content".to_owned(),
                }),
                // The transfer has finished in the meantime.
                Err(_) if path.symlink_metadata().is_err() => {}
                Err(why) => invalid.push(InvalidEntry { path, why }),
            }
        }
        entries.sort_by_cached_key(|entry| (entry.started, entry.id()));
        invalid.sort_by(|one, other| one.path.cmp(&other.path));
        Ok((entries, invalid))
    }

    fn entry_path(&self, id: u64) -> io::Result<PathBuf> {
        Ok(self.folder()?.join(format!("{id:016x}.json")))
    }
}

/// `position` in per cent of `size`, rounded down: 100 only if it is complete.
#[must_use]
pub fn percent(position: u64, size: u64) -> u64 {
    let hundredths = u128::from(position) * 100 / u128::from(size.max(1));
    u64::try_from(hundredths).unwrap_or(u64::MAX)
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Does not follow a link, and does not wait for the other end of a pipe.
    options.read(true).custom_flags(unix::SAFE_OPEN_FLAGS);
    options.open(path)
}

fn read(path: &Path) -> Result<JournalEntry, String> {
    let file = open(path).map_err(|error| error.to_string())?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err("it is not a file".to_owned());
    }
    let mut text = String::new();
    file.take(MAX_ENTRY_BYTES).read_to_string(&mut text).map_err(|error| error.to_string())?;
    JournalEntry::parse(&text)
}

#[cfg(test)]
mod tests;
