//! A file on its way to its name: beside the target, under a name of its own, until it is whole.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write};
use std::time::SystemTime;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _};
use cap_std::fs::{Dir, OpenOptions};

use crate::file_system::{
    FileLock, UnsetAttributes, make_executable, rename_noreplace, set_file_modified, stat,
    sync_file, sync_folder, try_lock, unlock,
};
use crate::unix;

/// What a part's name begins with.
pub const PARTIAL_PREFIX: &str = ".quiver-";

/// What a part's name ends with; 16 hex digits stand between.
pub const PARTIAL_SUFFIX: &str = ".part";

/// How often a part may be taken away while it is opened.
const RACES: usize = 8;

/// Whether a file name is one that parts have. Such files are never listed, sent or taken as targets.
#[must_use]
pub fn is_partial_name(name: &str) -> bool {
    let middle =
        name.strip_prefix(PARTIAL_PREFIX).and_then(|rest| rest.strip_suffix(PARTIAL_SUFFIX));
    middle.is_some_and(|hex| hex.len() == 16 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// How many bytes are in the part that `id` stands for in `folder`; `None` where there is none.
///
/// # Errors
/// What the system says.
pub fn partial_length(folder: &Dir, id: u64) -> io::Result<Option<u64>> {
    match stat(folder, name_of(id)) {
        Ok(found) if found.is_file() => Ok(Some(found.len())),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The part that `id` stands for in `folder`, to be read, whoever has it; `None` where there is none.
///
/// # Errors
/// What the system says.
pub fn open_partial_content(folder: &Dir, id: u64) -> io::Result<Option<std::fs::File>> {
    let mut options = OpenOptions::new();
    options.read(true);
    unix::without_waiting(&mut options).follow(FollowSymlinks::No);
    if partial_length(folder, id)?.is_none() {
        return Ok(None);
    }
    match folder.open_with(name_of(id), &options) {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file.into_std())),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What to do where the final name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplacePolicy {
    /// Refuse, and leave what is there.
    Never,
    /// Put the new file in its place, in one step.
    Existing,
}

/// What a file is given with its final name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileAttributes {
    /// When its content was last modified; `None` leaves the time of the last write.
    pub modified: Option<SystemTime>,
    /// Whether it is a program: whoever may read it may then run it too.
    pub executable: bool,
}

impl FileAttributes {
    /// Gives an open file its attributes; those that could not be set.
    pub(crate) fn apply(self, file: &File) -> UnsetAttributes {
        let executable = if self.executable { make_executable(file) } else { Ok(()) };
        let modified = self.modified.map_or(Ok(()), |modified| set_file_modified(file, modified));
        UnsetAttributes::of(modified, executable)
    }
}

/// A file under its temporary name, locked for as long as this is held.
#[derive(Debug)]
pub struct PartialFile {
    folder: Dir,
    name: String,
    file: File,
    /// `None` where the file system has no locks, and nothing else excludes others: then its name is one that
    /// nothing else knows.
    _lock: Option<FileLock>,
    fate: DropAction,
}

/// What happens to a part that is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DropAction {
    /// It goes.
    Removed,
    /// It stays for the next attempt, if there is anything in it.
    Kept,
    /// It has its final name.
    Committed,
}

impl PartialFile {
    /// Creates a part in `folder`; `id` makes its name. Never an existing file, never through a link. Dropped
    /// without a commit, it is removed.
    ///
    /// # Errors
    /// What the system says: `AlreadyExists` where there is such a part, `WouldBlock` where another transfer
    /// took it as soon as it was there.
    pub fn create(folder: &Dir, id: u64) -> io::Result<Self> {
        let name = name_of(id);
        let file =
            folder.open_with(&name, OpenOptions::new().read(true).write(true).create_new(true))?;
        let file = file.into_std();
        let lock = match try_lock(&file) {
            Ok(lock) => Some(lock),
            // It was created here: only a transfer that expects a part of this name would take it, and those
            // open no part that they cannot lock.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => None,
            Err(error) => return Err(error),
        };
        if !unix::is_same(&file, folder, &name)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let folder = folder.try_clone()?;
        Ok(Self { folder, name, file, _lock: lock, fate: DropAction::Removed })
    }

    /// Opens the part that `id` stands for in `folder`, or creates it. Dropped without a commit, it
    /// stays for the next attempt.
    ///
    /// # Errors
    /// What the system says: `WouldBlock` where another transfer has the part; `Unsupported` where one might have
    /// it, because nothing can be locked here; `AlreadyExists` where something else than a regular file has its name.
    pub fn open(folder: &Dir, id: u64) -> io::Result<Self> {
        let name = name_of(id);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        unix::without_waiting(&mut options).follow(FollowSymlinks::No);
        // Between opening a part and locking it, another transfer may have given it its final name.
        for _ in 0..RACES {
            let file = match folder.open_with(&name, &options) {
                Ok(file) if file.metadata()?.is_file() => file.into_std(),
                Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
                Err(_) if stat(folder, &name).is_ok_and(|found| !found.is_file()) => {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                Err(error) => return Err(error),
            };
            let lock = match try_lock(&file) {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    // Made here a moment ago: no transfer resumes a part where nothing can be locked.
                    if file.metadata()?.len() == 0 {
                        folder.remove_file(&name)?;
                    }
                    return Err(error);
                }
                lock => Some(lock?),
            };
            if unix::is_same(&file, folder, &name)? {
                let folder = folder.try_clone()?;
                return Ok(Self { folder, name, file, _lock: lock, fate: DropAction::Kept });
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// How many bytes are in it.
    ///
    /// # Errors
    /// What the system says.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// A second handle to it, for reading.
    ///
    /// # Errors
    /// What the system says.
    pub fn content(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Drops what is in it beyond `offset` bytes; what is written goes there.
    ///
    /// # Errors
    /// What the system says.
    pub fn truncate_to(&mut self, offset: u64) -> io::Result<()> {
        self.file.set_len(offset)?;
        self.file.seek(SeekFrom::Start(offset))?;
        Ok(())
    }

    /// Removes it, whatever was to happen to it.
    pub fn discard(mut self) {
        self.fate = DropAction::Removed;
    }

    /// Flushes the content to disk, renames it to `target` in its folder, and makes the name durable; the
    /// attributes that could not be set. Blocks for as long as the disk needs.
    ///
    /// # Errors
    /// What the system says: `AlreadyExists` where the name is taken and not to be replaced. What
    /// stood under the name is then as it was, and the part as one that was dropped.
    pub fn commit(
        mut self,
        target: &str,
        replace: ReplacePolicy,
        finish: FileAttributes,
    ) -> io::Result<UnsetAttributes> {
        self.try_commit(target, replace, finish)
    }

    /// The same; where it fails, this is still the part.
    ///
    /// # Errors
    /// As of [`commit`](Self::commit).
    pub fn try_commit(
        &mut self,
        target: &str,
        replace: ReplacePolicy,
        finish: FileAttributes,
    ) -> io::Result<UnsetAttributes> {
        let unset = self.flush_to_disk(finish)?;
        self.give_name(target, replace)?;
        sync_folder(&self.folder)?;
        Ok(unset)
    }

    /// Sets the file's time and rights and flushes its content to disk: the slow half of a
    /// [commit](Self::commit). The attributes that could not be set.
    ///
    /// # Errors
    /// What the system says.
    pub fn flush_to_disk(&self, finish: FileAttributes) -> io::Result<UnsetAttributes> {
        let unset = finish.apply(&self.file);
        sync_file(&self.file)?;
        Ok(unset)
    }

    /// Renames a [flushed](Self::flush_to_disk) part to `target` in its folder. The caller flushes the folder.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn rename(mut self, target: &str, replace: ReplacePolicy) -> io::Result<()> {
        self.give_name(target, replace)
    }

    fn give_name(&mut self, target: &str, replace: ReplacePolicy) -> io::Result<()> {
        match replace {
            ReplacePolicy::Never => {
                rename_noreplace((&self.folder, &self.name), (&self.folder, target))?
            }
            ReplacePolicy::Existing => self.folder.rename(&self.name, &self.folder, target)?,
        }
        self.fate = DropAction::Committed;
        Ok(())
    }
}

fn name_of(id: u64) -> String {
    format!("{PARTIAL_PREFIX}{id:016x}{PARTIAL_SUFFIX}")
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        let goes = match self.fate {
            DropAction::Committed => false,
            DropAction::Removed => true,
            DropAction::Kept => self.length().is_ok_and(|length| length == 0),
        };
        if goes {
            // Nobody is left to tell; the name says what it is.
            let _ = self.folder.remove_file(&self.name);
        }
        // A copy of the handle, with which somebody still reads, would keep the lock. Where it cannot be given
        // up here, it goes with that copy.
        let _ = unlock(&self.file);
    }
}

#[cfg(test)]
mod tests;
