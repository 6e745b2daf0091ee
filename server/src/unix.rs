//! What only Unix has: private files, folders that are locked and flushed, the bare standard input.
//!
//! The one file of this crate with such calls. Knows nothing of what the files hold.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt};
use std::path::Path;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as CapOpenOptionsExt};
use quiver_transfer::file_system::{self, FileLock};
pub(crate) use quiver_transfer::file_system::{
    check_writable, free_space, is_readable, rename_noreplace, sync_folder as sync_dir,
};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use tempfile::NamedTempFile;

/// Every right of the group and of others.
const RIGHTS_OF_OTHERS: u32 = 0o077;

/// Why a file is not one that only its owner can read.
#[derive(Debug)]
pub(crate) enum NotPrivate {
    /// It cannot be opened or looked at.
    Io(io::Error),
    /// The name is a symbolic link.
    SymbolicLink,
    /// It is a folder, a pipe, a device.
    NotAFile,
    /// It is owned by `owner`, this process runs as `me`.
    Foreign { owner: u32, me: u32 },
    /// Its mode gives rights to the group or to others.
    Shared { mode: u32 },
}

/// From now on a file that grows beyond the system's limit (`ulimit -f`) is an error of its write, not the
/// end of this program. Takes a runtime.
pub(crate) fn survive_large_files() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    // What is heard once does not end the program any more, though nobody listens.
    signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}

/// Whether this process ignores a signal, as one that `nohup` has started does. No, where the system does not tell.
pub(crate) fn is_ignored(signal: rustix::process::Signal) -> bool {
    // A mask in hexadecimal, of which signal 1 is the lowest bit (proc_pid_status(5)).
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}

/// Opens a file for reading that belongs to this process's user, and to nobody else.
///
/// What is checked is what was opened, not what the name meant a moment before. Opening never
/// waits, whatever is there: a pipe without a writer would otherwise hold the caller for ever.
pub(crate) fn open_private(path: &Path) -> Result<File, NotPrivate> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        rustix::io::Errno::LOOP => NotPrivate::SymbolicLink,
        other => NotPrivate::Io(other.into()),
    })?;
    let stat = rustix::fs::fstat(&file).map_err(|error| NotPrivate::Io(error.into()))?;
    check_private(&stat, rustix::process::geteuid().as_raw())?;
    Ok(File::from(file))
}

/// The rule of [`open_private`], for a process that runs as `me`.
fn check_private(stat: &Stat, me: u32) -> Result<(), NotPrivate> {
    let mode = Mode::from_raw_mode(stat.st_mode).as_raw_mode();
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        Err(NotPrivate::NotAFile)
    } else if stat.st_uid != me {
        Err(NotPrivate::Foreign { owner: stat.st_uid, me })
    } else if mode & RIGHTS_OF_OTHERS != 0 {
        Err(NotPrivate::Shared { mode })
    } else {
        Ok(())
    }
}

/// A new file in a folder, mode 0600 from its first moment, gone with its handle unless it is kept.
pub(crate) fn new_private_file(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".quiver-")
        .suffix(".part")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)
}

/// Makes sure that there is a folder of this name; one that is made is its owner's alone.
pub(crate) fn make_private_folder(path: &Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result,
    }
}

/// Makes sure that there is a file of this name; one that is made is its owner's alone.
pub(crate) fn ensure_private_file(path: &Path) -> io::Result<()> {
    File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    Ok(())
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

    /// Waits until no other process or thread holds this folder's lock, and holds it until the
    /// handle is dropped. The lock binds only those who ask for it too.
    pub(crate) fn lock(&mut self) -> io::Result<()> {
        self.lock = Some(file_system::lock(&self.folder)?);
        Ok(())
    }

    /// Gives a file in this folder another name there, which must be free.
    pub(crate) fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let missing = || io::Error::from(io::ErrorKind::InvalidFilename);
        let name = |path: &Path| path.file_name().map(Path::new).map(Path::to_owned);
        let (from, to) = (name(from).ok_or_else(missing)?, name(to).ok_or_else(missing)?);
        rename_noreplace((&self.folder, from), (&self.folder, to))
    }

    /// Flushes the folder's entries to disk: without this a rename may be lost with the power.
    pub(crate) fn sync(&self) -> io::Result<()> {
        sync_dir(&self.folder)
    }
}

/// Standard input without the buffer std puts before it, in which a copy of a secret would stay.
pub(crate) fn bare_stdin() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Opens without waiting for the other end of a pipe, and never takes a terminal as its own.
pub(crate) fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    CapOpenOptionsExt::custom_flags(options, (OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32)
}

/// Opens a file below a folder for reading, over all parts of its path at once; never through a link, never
/// waiting. `None` where that cannot be, whatever the reason.
pub(crate) fn open_beneath(root: &Dir, path: &str) -> Option<File> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags, Mode::empty(), beneath).ok().map(File::from)
}

/// Whether opening failed because there is a socket, or a device nobody drives.
pub(crate) fn is_no_file(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    matches!(errno, Some(rustix::io::Errno::NXIO | rustix::io::Errno::NODEV))
}

/// Whether two handles are of the same folder.
pub(crate) fn is_same_folder(one: &Dir, other: &Dir) -> io::Result<bool> {
    let (one, other) = (rustix::fs::fstat(one)?, rustix::fs::fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// Whether a handle is of the folder at a path.
///
/// # Errors
/// What the system says; `NotFound` where nothing is at the path.
pub(crate) fn is_folder_at(folder: &Dir, path: &Path) -> io::Result<bool> {
    let (folder, found) = (rustix::fs::fstat(folder)?, rustix::fs::stat(path)?);
    Ok((folder.st_dev, folder.st_ino) == (found.st_dev, found.st_ino))
}

/// A file or folder that stays on the disk until this is dropped, whatever becomes of its name: removing that
/// takes no time then, and dropping this as long as a large file's blocks take to be freed.
#[derive(Debug)]
pub(crate) struct Inode {
    /// Its number.
    pub(crate) number: u64,
    _file: OwnedFd,
}

impl Inode {
    /// What a name stands for; never what a link points to. No right to read it is needed.
    pub(crate) fn of(folder: &Dir, name: &str) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
        Ok(Self { number: rustix::fs::fstat(&file)?.st_ino, _file: file })
    }
}

/// Whether an open file is this process's user's, has one name, and nobody else may write to it.
pub(crate) fn is_mine_alone(file: &File) -> io::Result<bool> {
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
    fn a_file_of_somebody_else_is_not_private() {
        let stat = stat_with_mode(0o600);
        check_private(&stat, stat.st_uid).unwrap();
        let me = stat.st_uid + 1;
        assert!(matches!(
            check_private(&stat, me),
            Err(NotPrivate::Foreign { owner, me: other }) if owner == stat.st_uid && other == me
        ));
    }

    #[test]
    fn any_right_of_group_or_others_is_one_too_many() {
        for mode in [0o400, 0o600, 0o700] {
            let stat = stat_with_mode(mode);
            check_private(&stat, stat.st_uid).unwrap();
        }
        for mode in [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644] {
            let stat = stat_with_mode(mode);
            assert!(
                matches!(check_private(&stat, stat.st_uid), Err(NotPrivate::Shared { mode: m }) if m == mode),
                "{mode:o}"
            );
        }
    }

    #[test]
    fn a_new_private_file_has_no_rights_for_others_at_birth() {
        let folder = tempfile::tempdir().unwrap();
        let file = new_private_file(folder.path()).unwrap();
        open_private(file.path()).unwrap();
    }
}
