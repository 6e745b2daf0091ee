//! The folder with the sockets of all processes of a user, and the rules by which sockets are made and swept.
//!
//! A socket is made under another name and renamed once its process listens, so that one with a final name refuses
//! connections only if its process is gone. Both happen under a lock, so that nobody sweeps a new socket.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::time::Duration;

use quiver_client::folders::{Folders, create_private};
use quiver_transfer::file_system::{FileLock, try_lock};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, sleep};

use crate::unix::PrivateFolder;

/// How long a process may hold the lock. It does so for microseconds, unless it is stopped.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause between attempts to lock.
const LOCK_INTERVAL: Duration = Duration::from_millis(5);

/// The file with the last number of a transfer.
pub(crate) const NUMBER_FILE: &str = "numbers";

/// Numbers start again from 1 when no process has a socket, and none was drawn for this long: somebody may be typing the
/// number of a transfer that has just ended.
const NUMBER_REST: Duration = Duration::from_secs(60);

const LOCK_FILE: &str = "sockets.lock";
const SUFFIX: &str = ".sock";
const NEW_SUFFIX: &str = ".sock.new";

/// The folder for sockets and redirect files: that of the session, or one below the folder for state. `None` if there is
/// neither.
#[must_use]
pub fn runtime_folder(
    variable: impl Fn(&str) -> Option<OsString>,
    folders: &Folders,
) -> Option<PathBuf> {
    let session = variable("XDG_RUNTIME_DIR").map(PathBuf::from);
    match session.filter(|folder| folder.is_absolute()) {
        Some(session) => Some(session.join("quiver")),
        None => folders.state().ok().map(|state| state.join("run")),
    }
}

/// The open folder.
#[derive(Debug)]
pub(crate) struct SocketFolder(PrivateFolder);

/// The folder, locked against other processes that make or sweep sockets.
#[derive(Debug)]
pub(crate) struct LockedFolder<'a> {
    folder: &'a SocketFolder,
    _lock: FileLock,
    _file: File,
}

/// The socket of this process. Its name is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct OwnSocket {
    folder: Arc<SocketFolder>,
    pub(crate) listener: UnixListener,
}

impl SocketFolder {
    /// Opens the folder; `None` if it does not exist.
    ///
    /// # Errors
    /// The system's error; `PermissionDenied` if it is not private.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        match PrivateFolder::open(path) {
            Ok(folder) => Ok(Some(Self(folder))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the folder, and makes it if it is missing.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        create_private(path)?;
        Ok(Self(PrivateFolder::open(path)?))
    }

    /// Waits for the lock, at most for [`LOCK_TIMEOUT`].
    ///
    /// # Errors
    /// The system's error, or `TimedOut`.
    pub(crate) async fn lock(&self) -> io::Result<LockedFolder<'_>> {
        let file = self.0.open_file(LOCK_FILE)?;
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            match try_lock(&file) {
                Ok(lock) => return Ok(LockedFolder { folder: self, _lock: lock, _file: file }),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) if Instant::now() >= deadline => return Err(io::ErrorKind::TimedOut.into()),
                Err(_) => sleep(LOCK_INTERVAL).await,
            }
        }
    }

    /// The processes that have a socket, running or not, in the order of their ids.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn processes(&self) -> io::Result<Vec<u32>> {
        let names = self.0.names()?;
        let mut processes: Vec<u32> =
            names.iter().filter_map(|name| process_of(name, SUFFIX)).collect();
        processes.sort_unstable();
        Ok(processes)
    }

    /// Connects with a process; `None` if it is gone.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) async fn connect(&self, process: u32) -> io::Result<Option<UnixStream>> {
        self.connect_to(&name_of(process, SUFFIX)).await
    }

    async fn connect_to(&self, name: &str) -> io::Result<Option<UnixStream>> {
        match UnixStream::connect(self.0.path_of(name)).await {
            Ok(stream) => Ok(Some(stream)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Removes the sockets of processes that are gone.
    ///
    /// # Errors
    /// The system's error; the lock is held by a process that does not run.
    pub(crate) async fn sweep(&self) -> io::Result<()> {
        self.lock().await?.sweep().await.map(drop)
    }

    /// Makes the socket of this process, and sweeps those of processes that are gone.
    ///
    /// # Errors
    /// The system's error; `AddrInUse` if another process listens with this id, as one of another container does.
    pub(crate) async fn listen(self) -> io::Result<OwnSocket> {
        let locked = self.lock().await?;
        let (name, new_name) = (name_of(process::id(), SUFFIX), name_of(process::id(), NEW_SUFFIX));
        let others = locked.sweep().await?;
        if others.contains(&process::id()) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        if others.is_empty() && self.0.is_older(NUMBER_FILE, NUMBER_REST)? {
            self.0.remove(NUMBER_FILE)?;
        }
        let listener = StdListener::bind(self.0.path_of(&new_name))?;
        let prepared = (|| {
            self.0.make_private(&new_name)?;
            listener.set_nonblocking(true)?;
            let listener = UnixListener::from_std(listener)?;
            self.0.rename(&new_name, &name)?;
            Ok(listener)
        })();
        if prepared.is_err() {
            // The first error is the one to report.
            let _ = self.0.remove(&new_name);
        }
        drop(locked);
        prepared.map(|listener| OwnSocket { folder: Arc::new(self), listener })
    }
}

impl LockedFolder<'_> {
    /// The files of the folder.
    pub(crate) fn files(&self) -> &PrivateFolder {
        &self.folder.0
    }

    /// Removes the sockets of processes that are gone. Returns the processes that are not.
    async fn sweep(&self) -> io::Result<Vec<u32>> {
        let mut running = Vec::new();
        for name in self.files().names()? {
            // A process that has made one under the lock, and was killed.
            if process_of(&name, NEW_SUFFIX).is_some() {
                self.files().remove(&name)?;
            }
            let Some(process) = process_of(&name, SUFFIX) else { continue };
            match self.folder.connect_to(&name).await {
                Ok(None) => self.files().remove(&name)?,
                // Also if the connection fails otherwise, as when too many wait to be accepted.
                Ok(Some(_)) | Err(_) => running.push(process),
            }
        }
        Ok(running)
    }
}

impl OwnSocket {
    /// The folder of the socket.
    pub(crate) fn folder(&self) -> &Arc<SocketFolder> {
        &self.folder
    }
}

impl Drop for OwnSocket {
    fn drop(&mut self) {
        // While this process listens, no other one replaces the socket. If this fails, it is swept later.
        let _ = self.folder.0.remove(&name_of(process::id(), SUFFIX));
    }
}

fn name_of(process: u32, suffix: &str) -> String {
    format!("{process}{suffix}")
}

fn process_of(name: &str, suffix: &str) -> Option<u32> {
    let process = name.strip_suffix(suffix)?;
    process.parse().ok().filter(|number: &u32| number.to_string() == process)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn sockets_are_in_the_folder_of_the_session_if_there_is_one() {
        let folders = Folders::at("/c".into(), "/d".into(), "/s".into());
        let folder = |session: Option<&'static str>| {
            runtime_folder(
                |name| session.filter(|_| name == "XDG_RUNTIME_DIR").map(Into::into),
                &folders,
            )
        };
        assert_eq!(folder(Some("/run/user/1")), Some(PathBuf::from("/run/user/1/quiver")));
        for session in [None, Some(""), Some("relative")] {
            assert_eq!(folder(session), Some(PathBuf::from("/s/run")));
        }
    }

    #[test]
    fn a_folder_that_others_can_access_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("quiver");
        assert!(SocketFolder::open(&path).unwrap().is_none());
        SocketFolder::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        for mode in [0o755, 0o770, 0o701, 0o702, 0o777] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            for opened in
                [SocketFolder::open(&path).map(drop), SocketFolder::create(&path).map(drop)]
            {
                let error = opened.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{mode:o}");
                assert!(error.to_string().contains("other users can access it"), "{error}");
            }
        }
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        let link = root.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(SocketFolder::open(&link).is_err());
    }

    #[tokio::test]
    async fn a_socket_is_private_at_any_length_of_its_path_and_goes_with_its_process() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a".repeat(100)).join("quiver");
        let socket = SocketFolder::create(&path).unwrap().listen().await.unwrap();
        let file = path.join(format!("{}.sock", process::id()));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(socket.folder().processes().unwrap(), [process::id()]);
        let connected = socket.folder().connect(process::id()).await.unwrap();
        assert!(connected.is_some());
        let again = SocketFolder::create(&path).unwrap().listen().await.unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
        drop(socket);
        let left: Vec<_> =
            fs::read_dir(&path).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, ["sockets.lock"]);
    }

    #[tokio::test]
    async fn sockets_of_processes_that_are_gone_are_swept_and_others_stay() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("quiver");
        let folder = SocketFolder::create(&path).unwrap();
        // Dropping a listener leaves its name, as a killed process does.
        for name in ["1.sock", "3.sock.new", &format!("{}.sock", process::id())] {
            drop(StdListener::bind(path.join(name)).unwrap());
        }
        let listening = StdListener::bind(path.join("2.sock")).unwrap();
        fs::write(path.join("notes"), "").unwrap();
        fs::write(path.join("04.sock"), "").unwrap();
        assert!(folder.connect(1).await.unwrap().is_none());
        assert!(folder.connect(2).await.unwrap().is_some());
        let socket = folder.listen().await.unwrap();
        let mut processes = [2, process::id()];
        processes.sort_unstable();
        assert_eq!(socket.folder().processes().unwrap(), processes);
        for name in ["notes", "04.sock"] {
            assert!(path.join(name).exists());
        }
        drop(listening);
        socket.folder().sweep().await.unwrap();
        assert_eq!(socket.folder().processes().unwrap(), [process::id()]);
    }
}
