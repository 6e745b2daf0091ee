//! Unix-specific calls of this crate: the private folder of the sockets, and its watch.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use quiver_protocol::text::display_path;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, fstat, inotify};
use rustix::io::Errno;
use rustix::process::geteuid;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

/// An open folder that only this user can access. All names are relative to it, so that it cannot be replaced, and that
/// the length of its path does not matter.
#[derive(Debug)]
pub(crate) struct PrivateFolder(OwnedFd);

impl PrivateFolder {
    /// Opens the folder.
    ///
    /// # Errors
    /// The system's error; `PermissionDenied` if another user owns it or can access it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty())?;
        let found = fstat(&folder)?;
        if found.st_uid != geteuid().as_raw() {
            return Err(refused(path, "another user owns it"));
        }
        if found.st_mode & 0o077 != 0 {
            return Err(refused(path, "other users can access it"));
        }
        Ok(Self(folder))
    }

    /// A path by which system calls that take only paths reach a file in the folder. It has a fixed length: that of a
    /// socket's path is limited to 107 bytes.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()))
    }

    /// Opens a file for reading and writing, and creates it if it is missing.
    pub(crate) fn open_file(&self, name: &str) -> io::Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(File::from(file))
    }

    /// Removes a file. Succeeds if there is none.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            removed => Ok(removed?),
        }
    }

    /// Whether a file was last modified longer ago than this; false if there is none, true for a time in the future.
    pub(crate) fn is_older(&self, name: &str, age: Duration) -> io::Result<bool> {
        let found = match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(false),
            found => found?,
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let modified = u64::try_from(found.st_mtime).unwrap_or(0);
        Ok(now.as_secs().checked_sub(modified).is_none_or(|seconds| seconds > age.as_secs()))
    }

    /// Gives a file another name, and replaces the one that has it.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
    }

    /// Lets only this user access a file.
    pub(crate) fn make_private(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::chmodat(&self.0, name, Mode::RUSR | Mode::WUSR, AtFlags::empty())?)
    }

    /// The names in the folder that are UTF-8.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            names.extend(name.to_str().map(str::to_owned));
        }
        Ok(names)
    }
}

fn refused(path: &Path, why: &str) -> io::Error {
    let text = format!("{}: {why}", display_path(path));
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

/// Checks that the other end of a socket is a process of this user.
pub(crate) fn check_user(stream: &UnixStream) -> io::Result<()> {
    if stream.peer_cred()?.uid() == geteuid().as_raw() {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is a process of another user"))
    }
}

/// Tells when names in a folder change. Needs no polling.
#[derive(Debug)]
pub struct FolderWatch(
    /// Not a pipe, but read like one: tokio has no other safe type for a descriptor that becomes readable.
    pipe::Receiver,
);

impl FolderWatch {
    /// Watches a folder from now on.
    ///
    /// # Errors
    /// The system's error.
    pub fn new(folder: &Path) -> io::Result<Self> {
        use inotify::{CreateFlags, WatchFlags};
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let changes = WatchFlags::MOVED_TO | WatchFlags::MOVED_FROM | WatchFlags::DELETE;
        inotify::add_watch(&watch, folder, changes | WatchFlags::ONLYDIR)?;
        Ok(Self(pipe::Receiver::from_owned_fd_unchecked(watch)?))
    }

    /// Waits for a change. Cancel-safe.
    ///
    /// # Errors
    /// The system's error.
    pub async fn changed(&self) -> io::Result<()> {
        // One event has at most a header and a name of 255 bytes.
        let mut buffer = [0; 4096];
        loop {
            self.0.readable().await?;
            match self.0.try_read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read.map(drop),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn new_and_removed_names_are_noticed_and_content_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        fs::write(file("a.new"), "").unwrap();
        let watch = FolderWatch::new(folder.path()).unwrap();
        fs::write(file("a.new"), "content").unwrap();
        let silence = timeout(Duration::from_millis(50), watch.changed()).await;
        assert!(silence.is_err());
        fs::rename(file("a.new"), file("a")).unwrap();
        watch.changed().await.unwrap();
        fs::remove_file(file("a")).unwrap();
        watch.changed().await.unwrap();
        assert!(FolderWatch::new(&file("a")).is_err());
    }
}
