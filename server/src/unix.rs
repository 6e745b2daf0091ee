//! Unix system calls: private files, locks and flushes of folders, unbuffered standard input.
//!
//! The only file of this crate with such calls. Does not interpret the files' content.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt};
use std::path::Path;

use cap_std::fs::Dir;
use quiver_transfer::file_system::{self, FileLock};
pub(crate) use quiver_transfer::file_system::{
    check_writable, free_space, rename_noreplace, sync_folder,
};
use rustix::fs::{FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT};
use tempfile::NamedTempFile;

/// The permission bits of the group and of others.
const GROUP_AND_OTHER_BITS: u32 = 0o077;

/// Why a file is not private: readable only by the user of this process.
#[derive(Debug)]
pub(crate) enum PrivateFileError {
    /// It cannot be opened or examined.
    Io(io::Error),
    /// The name is a symbolic link.
    SymbolicLink,
    /// It is a folder, a pipe or a device.
    NotAFile,
    /// `owner` owns it, and this process runs as `user`.
    WrongOwner { owner: u32, user: u32 },
    /// Its mode gives permissions to the group or to others.
    Shared { mode: u32 },
}

/// Makes a write beyond the file size limit (`ulimit -f`) an error of that write. Without this,
/// SIGXFSZ kills the process. Needs a Tokio runtime.
pub(crate) fn ignore_file_size_signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    // Tokio's handler stays installed after the listener is dropped.
    signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}

/// Whether this process ignores a signal, as after `nohup`. False if the system does not tell.
pub(crate) fn is_signal_ignored(signal: rustix::process::Signal) -> bool {
    // A mask in hexadecimal; signal 1 is its lowest bit (proc_pid_status(5)).
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}

/// Opens a private file for reading.
///
/// The opened file is checked, not its name, which may change in between. Opening never blocks: a
/// pipe without a writer would otherwise block the caller forever.
pub(crate) fn open_private(path: &Path) -> Result<File, PrivateFileError> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        rustix::io::Errno::LOOP => PrivateFileError::SymbolicLink,
        other => PrivateFileError::Io(other.into()),
    })?;
    let stat = rustix::fs::fstat(&file).map_err(|error| PrivateFileError::Io(error.into()))?;
    check_private(&stat, rustix::process::geteuid().as_raw())?;
    Ok(File::from(file))
}

/// Checks the rules of [`open_private`] for a process that runs as `user`.
fn check_private(stat: &Stat, user: u32) -> Result<(), PrivateFileError> {
    let mode = Mode::from_raw_mode(stat.st_mode).as_raw_mode();
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        Err(PrivateFileError::NotAFile)
    } else if stat.st_uid != user {
        Err(PrivateFileError::WrongOwner { owner: stat.st_uid, user })
    } else if mode & GROUP_AND_OTHER_BITS != 0 {
        Err(PrivateFileError::Shared { mode })
    } else {
        Ok(())
    }
}

/// Creates a file with mode 0600 in a folder. It is removed when its handle is dropped, unless it
/// is persisted.
pub(crate) fn new_private_file(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".quiver-")
        .suffix(".part")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)
}

/// Creates a folder with mode 0700, unless it exists.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result,
    }
}

/// Creates an empty file with mode 0600, unless it exists.
pub(crate) fn ensure_private_file(path: &Path) -> io::Result<()> {
    File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    Ok(())
}

/// Opens a folder in a folder; not through a link.
pub(crate) fn open_folder(folder: &Dir, name: &OsStr) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    Ok(Dir::from_std_file(opened.into()))
}

/// Opens a file or folder for reading; not through a link, and without waiting for a pipe.
pub(crate) fn open_entry(folder: &Dir, name: impl AsRef<OsStr>) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(folder, name.as_ref(), flags, Mode::empty())?.into())
}

/// Creates a file with mode 0600 that did not exist, for reading and writing.
pub(crate) fn create_private(folder: &Dir, name: impl AsRef<OsStr>) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    Ok(rustix::fs::openat(folder, name.as_ref(), flags, mode)?.into())
}

/// Gives an open file or folder the permissions and the modification time of another one.
pub(crate) fn copy_attributes(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    let original = rustix::fs::fstat(from)?;
    rustix::fs::fchmod(&to, Mode::from_raw_mode(original.st_mode))?;
    let time = Timespec {
        tv_sec: original.st_mtime,
        tv_nsec: original.st_mtime_nsec.try_into().unwrap_or(0),
    };
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    Ok(rustix::fs::futimens(to, &Timestamps { last_access, last_modification: time })?)
}

/// A mounted file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DiskId(u64);

/// The disk that a folder is on.
pub(crate) fn disk_id(folder: &Dir) -> io::Result<DiskId> {
    Ok(DiskId(rustix::fs::fstat(folder)?.st_dev))
}

/// An open folder.
#[derive(Debug)]
pub(crate) struct OpenFolder {
    folder: Dir,
    lock: Option<FileLock>,
}

impl OpenFolder {
    /// Opens a folder.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        Ok(Self { folder: Dir::from_std_file(folder), lock: None })
    }

    /// Locks this folder until the handle is dropped; waits while another process or thread holds
    /// the lock. The lock is advisory.
    pub(crate) fn lock(&mut self) -> io::Result<()> {
        self.lock = Some(file_system::lock(&self.folder)?);
        Ok(())
    }

    /// Renames a file in this folder, to a name that does not exist.
    pub(crate) fn rename_noreplace(&self, from: &Path, to: &Path) -> io::Result<()> {
        let missing = || io::Error::from(io::ErrorKind::InvalidFilename);
        let name = |path: &Path| path.file_name().map(Path::new).map(Path::to_owned);
        let (from, to) = (name(from).ok_or_else(missing)?, name(to).ok_or_else(missing)?);
        rename_noreplace((&self.folder, from), (&self.folder, to))
    }

    /// Flushes the folder's entries to disk: without this a power failure may undo a rename.
    pub(crate) fn sync(&self) -> io::Result<()> {
        sync_folder(&self.folder)
    }
}

/// Standard input without the buffer of `std`, which would keep a copy of a secret.
pub(crate) fn unbuffered_stdin() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Whether two handles refer to the same folder.
pub(crate) fn is_same_folder(one: &Dir, other: &Dir) -> io::Result<bool> {
    let (one, other) = (rustix::fs::fstat(one)?, rustix::fs::fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// Whether a handle refers to the folder at a path.
///
/// # Errors
/// The error of the system call; `NotFound` if the path does not exist.
pub(crate) fn is_folder_at(folder: &Dir, path: &Path) -> io::Result<bool> {
    let (folder, found) = (rustix::fs::fstat(folder)?, rustix::fs::stat(path)?);
    Ok((folder.st_dev, folder.st_ino) == (found.st_dev, found.st_ino))
}

/// A handle that keeps a file or folder on the disk even if its name is removed. Removing the name
/// then is fast, and dropping the handle takes as long as freeing the file's blocks.
#[derive(Debug)]
pub(crate) struct PinnedInode {
    /// The inode's number.
    pub(crate) number: u64,
    _file: OwnedFd,
}

impl PinnedInode {
    /// Opens the file or folder of this name; a link itself, not its target. Needs no read
    /// permission.
    pub(crate) fn open(folder: &Dir, name: &str) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
        Ok(Self { number: rustix::fs::fstat(&file)?.st_ino, _file: file })
    }
}

/// Whether the user of this process owns the open file, it has one name, and not everybody may
/// write to it.
pub(crate) fn is_exclusively_owned(file: &File) -> io::Result<bool> {
    let stat = rustix::fs::fstat(file)?;
    let is_mine = stat.st_uid == rustix::process::geteuid().as_raw();
    Ok(is_mine && stat.st_nlink == 1 && stat.st_mode & 0o002 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat_with_mode(mode: u32) -> Stat {
        let file = NamedTempFile::new().unwrap();
        file.as_file().set_permissions(Permissions::from_mode(mode)).unwrap();
        rustix::fs::fstat(file.as_file()).unwrap()
    }

    #[test]
    fn a_file_of_another_user_is_not_private() {
        let stat = stat_with_mode(0o600);
        check_private(&stat, stat.st_uid).unwrap();
        let user = stat.st_uid + 1;
        assert!(matches!(
            check_private(&stat, user),
            Err(PrivateFileError::WrongOwner { owner, user: found })
                if owner == stat.st_uid && found == user
        ));
    }

    #[test]
    fn a_file_with_permissions_for_group_or_others_is_not_private() {
        for mode in [0o400, 0o600, 0o700] {
            let stat = stat_with_mode(mode);
            check_private(&stat, stat.st_uid).unwrap();
        }
        for mode in [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644] {
            let stat = stat_with_mode(mode);
            assert!(
                matches!(check_private(&stat, stat.st_uid), Err(PrivateFileError::Shared { mode: m }) if m == mode),
                "{mode:o}"
            );
        }
    }

    #[test]
    fn a_new_private_file_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = new_private_file(folder.path()).unwrap();
        open_private(file.path()).unwrap();
    }
}
