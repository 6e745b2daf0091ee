//! One page process for each user: the first one holds a lock and answers on a Unix socket, later ones ask it for a link.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use quiver_client::folders::create_private;
use quiver_transfer::file_system::{FileLock, try_lock};
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

/// How long a process may take for its request, or for its answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The pause before a process that starts is asked again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Bytes of a request or an answer.
const MAX_LINE: u64 = 1024;

/// Whether this process serves the page.
#[derive(Debug)]
pub enum Instance {
    /// It does, as long as this exists.
    First(InstanceLock),
    /// Another process of this user does.
    Running(RunningInstance),
}

/// The right to serve the page.
#[derive(Debug)]
pub struct InstanceLock {
    socket: PathBuf,
    _lock: FileLock,
    _file: File,
}

/// Another process that serves the page.
#[derive(Debug)]
pub struct RunningInstance {
    socket: PathBuf,
}

/// Requests between processes, one a connection.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum InstanceRequest {
    /// A new link to the page.
    NewLink,
}

#[derive(Serialize, Deserialize)]
struct LinkReply {
    link: String,
}

impl Instance {
    /// Finds out whether another process serves the page. `folder` is private to this user.
    ///
    /// # Errors
    /// The system's error.
    pub fn find(folder: &Path) -> io::Result<Self> {
        create_private(folder)?;
        let socket = folder.join("page.sock");
        let path = folder.join("page.lock");
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match try_lock(&file) {
            Ok(lock) => Ok(Self::First(InstanceLock { socket, _lock: lock, _file: file })),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Ok(Self::Running(RunningInstance { socket }))
            }
            Err(error) => Err(error),
        }
    }
}

impl InstanceLock {
    /// Listens for other processes. Only this user can connect.
    pub(crate) fn listen(&self) -> io::Result<UnixListener> {
        match fs::remove_file(&self.socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            // A socket of a process that was killed: this one has the lock.
            _ => {}
        }
        let listener = UnixListener::bind(&self.socket)?;
        fs::set_permissions(&self.socket, Permissions::from_mode(0o600))?;
        Ok(listener)
    }
}

impl Drop for InstanceLock {
    fn drop(&mut self) {
        // A process that starts meanwhile removes it too.
        let _ = fs::remove_file(&self.socket);
    }
}

/// Answers a process with a link from `new_link`, if it is of this user.
pub(crate) async fn answer(
    stream: UnixStream,
    new_link: impl FnOnce() -> String,
) -> io::Result<()> {
    check_user(&stream)?;
    let (reader, mut writer) = stream.into_split();
    let line = timeout(TIMEOUT, read_line(reader)).await??;
    let InstanceRequest::NewLink = serde_json::from_str(&line)?;
    let reply = serde_json::to_string(&LinkReply { link: new_link() })? + "\n";
    timeout(TIMEOUT, writer.write_all(reply.as_bytes())).await?
}

impl RunningInstance {
    /// Asks the process for a new link.
    ///
    /// # Errors
    /// The system's error; `TimedOut` if the process does not answer.
    pub async fn request_link(&self) -> io::Result<String> {
        let asked = async {
            let stream = loop {
                match UnixStream::connect(&self.socket).await {
                    // It has the lock, and does not listen yet.
                    Err(error)
                        if matches!(
                            error.kind(),
                            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                        ) =>
                    {
                        sleep(RETRY_PAUSE).await;
                    }
                    connected => break connected?,
                }
            };
            check_user(&stream)?;
            let (reader, mut writer) = stream.into_split();
            let request = serde_json::to_string(&InstanceRequest::NewLink)? + "\n";
            writer.write_all(request.as_bytes()).await?;
            let LinkReply { link } = serde_json::from_str(&read_line(reader).await?)?;
            Ok(link)
        };
        timeout(TIMEOUT, asked).await?
    }
}

fn check_user(stream: &UnixStream) -> io::Result<()> {
    if stream.peer_cred()?.uid() == geteuid().as_raw() {
        Ok(())
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

async fn read_line(reader: impl tokio::io::AsyncRead + Unpin) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(reader.take(MAX_LINE)).read_line(&mut line).await?;
    if line.ends_with('\n') { Ok(line) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(folder: &Path) -> InstanceLock {
        match Instance::find(folder).unwrap() {
            Instance::First(lock) => lock,
            Instance::Running(_) => panic!("another process runs"),
        }
    }

    #[tokio::test]
    async fn a_second_process_gets_a_link_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("quiver");
        let lock = first(&folder);
        let Instance::Running(running) = Instance::find(&folder).unwrap() else {
            panic!("two first processes")
        };
        // The second one asks before the first one listens.
        let serve = async {
            sleep(RETRY_PAUSE).await;
            let listener = lock.listen().unwrap();
            let mode = fs::metadata(&lock.socket).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
            answer(listener.accept().await.unwrap().0, || "the link".to_owned()).await
        };
        let (link, served) = tokio::join!(running.request_link(), serve);
        served.unwrap();
        assert_eq!(link.unwrap(), "the link");
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let lock = first(folder.path());
        drop(lock.listen().unwrap());
        assert!(lock.socket.exists());
        lock.listen().unwrap();
        drop(lock);
        assert!(!folder.path().join("page.sock").exists());
        first(folder.path());
    }

    #[tokio::test]
    async fn what_is_no_request_gets_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let lock = first(folder.path());
        let listener = lock.listen().unwrap();
        for text in ["\n", "{}\n", "{\"do\":\"fly\"}\n", &"a".repeat(2000)] {
            let mut stream = UnixStream::connect(&lock.socket).await.unwrap();
            let accepted = listener.accept().await.unwrap().0;
            stream.write_all(text.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            assert!(answer(accepted, || panic!("a link")).await.is_err());
        }
    }
}
