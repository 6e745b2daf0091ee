//! Exclusive use of an open file or folder, even if its file system supports no locks.
//!
//! In that case the lock is a Unix socket with an abstract name that is derived from the inode: the
//! kernel gives a name to one socket at a time, and releases it when the socket is closed or its
//! process ends. Such a lock excludes only processes of the same machine and network namespace,
//! while a file system's lock may also exclude other machines.

use std::fs::TryLockError;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::{Errno, retry_on_intr};

use super::is_unsupported;

/// Number of attempts to bind a name that another process holds, and the interval between them.
const BIND_ATTEMPTS: u32 = 500;
const BIND_INTERVAL: Duration = Duration::from_millis(20);

/// The lock of an open file or folder. It ends when this and every copy of the handle are dropped,
/// or by [`unlock`].
#[derive(Debug)]
pub struct FileLock {
    /// The bound socket, if the file system supports no locks.
    _socket: Option<UnixDatagram>,
}

/// Locks an open file or folder for this handle.
///
/// # Errors
/// `WouldBlock` if another handle holds the lock, `Unsupported` if no kind of lock is supported.
pub fn try_lock(file: impl AsFd) -> io::Result<FileLock> {
    let file = file.as_fd();
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(FileLock { _socket: None }),
        Err(error) if is_unsupported(error) => {
            Ok(FileLock { _socket: Some(bind_lock_name(file)?) })
        }
        Err(error) => Err(error.into()),
    }
}

/// Like [`try_lock`], but waits until another handle has released the lock.
///
/// # Errors
/// `Unsupported` if no kind of lock is supported; `WouldBlock` if the file system supports no locks
/// and another process holds the lock for ten seconds.
pub fn lock(file: impl AsFd) -> io::Result<FileLock> {
    let file = file.as_fd();
    match flock(file, FlockOperation::LockExclusive) {
        Ok(()) => return Ok(FileLock { _socket: None }),
        Err(error) if is_unsupported(error) => {}
        Err(error) => return Err(error.into()),
    }
    for _ in 1..BIND_ATTEMPTS {
        match bind_lock_name(file) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_name(),
            bound => return Ok(FileLock { _socket: Some(bound?) }),
        }
    }
    Ok(FileLock { _socket: Some(bind_lock_name(file)?) })
}

#[expect(clippy::disallowed_methods, reason = "the kernel has no way to wait for a name")]
fn wait_for_name() {
    std::thread::sleep(BIND_INTERVAL);
}

/// Whether another handle holds the lock of this file.
#[must_use]
pub fn is_locked(file: &std::fs::File) -> bool {
    match file.try_lock_shared() {
        // A failed unlock has no remedy; the caller is about to close the handle.
        Ok(()) => {
            let _ = file.unlock();
            false
        }
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(_)) => bind_lock_name(file.as_fd())
            .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock),
    }
}

/// Releases the lock of an open file, even if copies of its handle exist. A lock by name ends with
/// its [`FileLock`].
///
/// # Errors
/// An I/O error.
pub fn unlock(file: impl AsFd) -> io::Result<()> {
    Ok(flock(file.as_fd(), FlockOperation::Unlock)?)
}

fn flock(file: BorrowedFd<'_>, operation: FlockOperation) -> Result<(), Errno> {
    retry_on_intr(|| rustix::fs::flock(file, operation))
}

/// Binds the abstract name that identifies a file.
fn bind_lock_name(file: BorrowedFd<'_>) -> io::Result<UnixDatagram> {
    let found = rustix::fs::fstat(file)?;
    let name = format!("quiver-lock-{:x}-{:x}", found.st_dev, found.st_ino);
    let address = SocketAddr::from_abstract_name(name)?;
    UnixDatagram::bind_addr(&address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => io::ErrorKind::WouldBlock.into(),
        // The system does not allow such sockets.
        _ => io::ErrorKind::Unsupported.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn only_one_handle_holds_the_lock() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let other = File::open(file.path()).unwrap();
        let held = try_lock(&file).unwrap();
        assert!(is_locked(&other));
        assert_eq!(try_lock(&other).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        unlock(&file).unwrap();
        assert!(!is_locked(&other));
        drop(held);
        drop(lock(&other).unwrap());
    }

    #[test]
    fn a_lock_name_identifies_one_file() {
        let [one, two] = [(); 2].map(|()| tempfile::NamedTempFile::new().unwrap());
        let other = File::open(one.path()).unwrap();
        let held = bind_lock_name(one.as_file().as_fd()).unwrap();
        assert_eq!(bind_lock_name(other.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        bind_lock_name(two.as_file().as_fd()).unwrap();
        drop(held);
        bind_lock_name(other.as_fd()).unwrap();
    }
}
