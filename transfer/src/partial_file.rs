//! A partial file: it is in the folder of its target, under a temporary name, until its content is
//! complete.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write};
use std::time::SystemTime;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _};
use cap_std::fs::{Dir, OpenOptions};
use tracing::debug;

use crate::file_system::{
    FileLock, Permissions, UnsetAttributes, make_executable, rename_noreplace, set_file_modified,
    stat, sync_file, sync_folder, try_lock, unlock,
};
use crate::unix;

/// Prefix of a partial file's name.
pub const PARTIAL_PREFIX: &str = ".quiver-";

/// Suffix of a partial file's name; 16 hex digits are in between.
pub const PARTIAL_SUFFIX: &str = ".part";

/// How often opening a partial file is tried while other transfers rename it.
const OPEN_ATTEMPTS: usize = 8;

/// Whether a file name is that of a partial file. Such files are never listed, sent or accepted as
/// targets.
#[must_use]
pub fn is_partial_name(name: &str) -> bool {
    let middle =
        name.strip_prefix(PARTIAL_PREFIX).and_then(|rest| rest.strip_suffix(PARTIAL_SUFFIX));
    middle.is_some_and(|hex| hex.len() == 16 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The size in bytes of the partial file with this `id` in `folder`; `None` if it does not exist.
///
/// # Errors
/// An I/O error.
pub fn partial_length(folder: &Dir, id: u64) -> io::Result<Option<u64>> {
    match stat(folder, partial_name(id)) {
        Ok(found) if found.is_file() => Ok(Some(found.len())),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens the partial file with this `id` in `folder` for reading, even if another transfer has
/// locked it; `None` if it does not exist.
///
/// # Errors
/// An I/O error.
pub fn open_partial_content(folder: &Dir, id: u64) -> io::Result<Option<std::fs::File>> {
    let mut options = OpenOptions::new();
    options.read(true);
    unix::set_nonblocking(&mut options).follow(FollowSymlinks::No);
    if partial_length(folder, id)?.is_none() {
        return Ok(None);
    }
    match folder.open_with(partial_name(id), &options) {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file.into_std())),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What to do if a file with the final name exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplacePolicy {
    /// Fail, and keep the existing file.
    Never,
    /// Replace the existing file atomically.
    Existing,
}

/// The attributes that a file gets with its final name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileAttributes {
    /// When its content was last modified; `None` leaves the time of the last write.
    pub modified: Option<SystemTime>,
    /// Whether it is a program, which every user who may read it may also run.
    pub executable: bool,
}

impl FileAttributes {
    /// Sets the attributes of an open file, and returns those that could not be set. `permissions`
    /// are those of the file that it replaces.
    pub(crate) fn apply(self, file: &File, permissions: Option<Permissions>) -> UnsetAttributes {
        let permissions = permissions.map_or(Ok(()), |permissions| permissions.apply(file));
        let executable = if self.executable { make_executable(file) } else { Ok(()) };
        let modified = self.modified.map_or(Ok(()), |modified| set_file_modified(file, modified));
        UnsetAttributes::from_results(modified, permissions.and(executable))
    }
}

/// A file under its temporary name, locked until this is dropped.
#[derive(Debug)]
pub struct PartialFile {
    folder: Dir,
    name: String,
    file: File,
    /// `None` if the file system supports no locks and no other kind of lock works; then no other
    /// transfer knows the file's name.
    _lock: Option<FileLock>,
    on_drop: DropAction,
}

/// What happens to the file when a [`PartialFile`] is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DropAction {
    /// It is removed.
    Remove,
    /// It is kept for the next attempt, unless it is empty.
    KeepUnlessEmpty,
    /// Nothing: it has its final name.
    None,
}

impl PartialFile {
    /// Creates a partial file in `folder`, with a name made of `id`. Never opens an existing file,
    /// and never follows a link. Without a commit, it is removed on drop.
    ///
    /// # Errors
    /// An I/O error: `AlreadyExists` if the partial file exists, `WouldBlock` if another transfer
    /// locked or renamed it as soon as it was created.
    pub fn create(folder: &Dir, id: u64) -> io::Result<Self> {
        let name = partial_name(id);
        let file =
            folder.open_with(&name, OpenOptions::new().read(true).write(true).create_new(true))?;
        let file = file.into_std();
        let lock = match try_lock(&file) {
            Ok(lock) => Some(lock),
            // This transfer created it: another one would open it only if it expected this name,
            // and does not open partial files that it cannot lock.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => None,
            Err(error) => return Err(error),
        };
        if !unix::has_name(&file, folder, &name)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let folder = folder.try_clone()?;
        Ok(Self { folder, name, file, _lock: lock, on_drop: DropAction::Remove })
    }

    /// Opens the partial file with this `id` in `folder`, or creates it. Without a commit, it is
    /// kept for the next attempt.
    ///
    /// # Errors
    /// An I/O error: `WouldBlock` if another transfer has locked the file; `Unsupported` if no lock
    /// is supported, so that another transfer might use it; `AlreadyExists` if its name is not that
    /// of a regular file.
    pub fn open(folder: &Dir, id: u64) -> io::Result<Self> {
        let name = partial_name(id);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        unix::set_nonblocking(&mut options).follow(FollowSymlinks::No);
        // Another transfer may rename the file to its final name between the open and the lock.
        for _ in 0..OPEN_ATTEMPTS {
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
                    // Just created: without locks no transfer resumes a partial file.
                    if file.metadata()?.len() == 0 {
                        folder.remove_file(&name)?;
                    }
                    return Err(error);
                }
                lock => Some(lock?),
            };
            if unix::has_name(&file, folder, &name)? {
                let folder = folder.try_clone()?;
                return Ok(Self {
                    folder,
                    name,
                    file,
                    _lock: lock,
                    on_drop: DropAction::KeepUnlessEmpty,
                });
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Its size in bytes.
    ///
    /// # Errors
    /// An I/O error.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// A second handle, for reading.
    ///
    /// # Errors
    /// An I/O error.
    pub fn content(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Truncates it to `offset` bytes; the next write appends there.
    ///
    /// # Errors
    /// An I/O error.
    pub fn truncate_to(&mut self, offset: u64) -> io::Result<()> {
        self.file.set_len(offset)?;
        self.file.seek(SeekFrom::Start(offset))?;
        Ok(())
    }

    /// Takes the permissions from other users that they do not have for the file `target`, which it
    /// will replace: nobody may read new content who could not read the old one. Nothing changes if
    /// there is no such file, or if the file system refuses it, which the commit reports.
    ///
    /// # Errors
    /// An I/O error.
    pub fn restrict_to(&self, target: &str) -> io::Result<()> {
        let Some(replaced) = Permissions::of_file(&self.folder, target)? else { return Ok(()) };
        if let Err(error) =
            Permissions::of_open(&self.file)?.restricted_to(replaced).apply(&self.file)
        {
            debug!(%error, "the permissions of a partial file cannot be restricted");
        }
        Ok(())
    }

    /// Removes it.
    pub fn discard(mut self) {
        self.on_drop = DropAction::Remove;
    }

    /// Flushes the content to disk, renames the file to `target` in its folder, and flushes the
    /// folder. A file that it replaces keeps its permissions. Returns the attributes that could not
    /// be set. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// An I/O error: `AlreadyExists` if the name exists and must not be replaced. An existing file
    /// is then unchanged, and the partial file is dropped.
    pub fn commit(
        mut self,
        target: &str,
        replace: ReplacePolicy,
        attributes: FileAttributes,
    ) -> io::Result<UnsetAttributes> {
        self.try_commit(target, replace, attributes)
    }

    /// Like [`commit`](Self::commit), but keeps the partial file if it fails.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn try_commit(
        &mut self,
        target: &str,
        replace: ReplacePolicy,
        attributes: FileAttributes,
    ) -> io::Result<UnsetAttributes> {
        let unset = self.flush_to_disk(target, replace, attributes)?;
        self.rename_to(target, replace)?;
        sync_folder(&self.folder)?;
        Ok(unset)
    }

    /// Sets the file's time and permissions and flushes its content to disk: the slow half of a
    /// [commit](Self::commit) to `target`. Returns the attributes that could not be set.
    ///
    /// # Errors
    /// An I/O error.
    pub fn flush_to_disk(
        &self,
        target: &str,
        replace: ReplacePolicy,
        attributes: FileAttributes,
    ) -> io::Result<UnsetAttributes> {
        let permissions = match replace {
            ReplacePolicy::Never => None,
            ReplacePolicy::Existing => Permissions::of_file(&self.folder, target)?,
        };
        let unset = attributes.apply(&self.file, permissions);
        sync_file(&self.file)?;
        Ok(unset)
    }

    /// Renames a [flushed](Self::flush_to_disk) partial file to `target` in its folder. The caller
    /// flushes the folder.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn rename(mut self, target: &str, replace: ReplacePolicy) -> io::Result<()> {
        self.rename_to(target, replace)
    }

    fn rename_to(&mut self, target: &str, replace: ReplacePolicy) -> io::Result<()> {
        match replace {
            ReplacePolicy::Never => {
                rename_noreplace((&self.folder, &self.name), (&self.folder, target))?
            }
            ReplacePolicy::Existing => self.folder.rename(&self.name, &self.folder, target)?,
        }
        self.on_drop = DropAction::None;
        Ok(())
    }
}

/// The name of the partial file with this `id`.
#[must_use]
pub fn partial_name(id: u64) -> String {
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
        let is_removed = match self.on_drop {
            DropAction::None => false,
            DropAction::Remove => true,
            DropAction::KeepUnlessEmpty => self.length().is_ok_and(|length| length == 0),
        };
        if is_removed {
            // The error has no receiver; cleanup finds the file by its name.
            let _ = self.folder.remove_file(&self.name);
        }
        // A copy of the handle that is still used for reading would keep the lock. If unlocking
        // fails, the lock ends with that copy.
        let _ = unlock(&self.file);
    }
}

#[cfg(test)]
mod tests;
