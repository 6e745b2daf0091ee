//! Exclusive use of an open file or folder, also where its file system has no locks.
//!
//! There, the lock is a Unix socket with an abstract name that is made of the file's number: the kernel gives a
//! name to one socket at a time, and takes it back when the socket or its process ends. It excludes the
//! processes of one machine (of one network namespace), while a file system's lock may exclude other machines.

use std::fs::TryLockError;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::{Errno, retry_on_intr};

use super::is_unsupported;

/// How often, and how long after each other, a name that another process has is asked for.
const ATTEMPTS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);

/// That an open file or folder is this holder's. The lock ends when this and every copy of the handle are
/// dropped, or by [`unlock`].
#[derive(Debug)]
pub struct FileLock {
    /// Where the file system has no locks.
    _name: Option<UnixDatagram>,
}

/// Locks an open file or folder for this handle.
///
/// # Errors
/// `WouldBlock` where another handle has it, `Unsupported` where there is no way to tell.
pub fn try_lock(file: impl AsFd) -> io::Result<FileLock> {
    let file = file.as_fd();
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(FileLock { _name: None }),
        Err(error) if is_unsupported(error) => Ok(FileLock { _name: Some(take_name(file)?) }),
        Err(error) => Err(error.into()),
    }
}

/// The same; waits until another handle has given it up.
///
/// # Errors
/// `Unsupported` where there is no way to tell, `WouldBlock` after ten seconds of another process's lock on a
/// file system that has none itself.
pub fn lock(file: impl AsFd) -> io::Result<FileLock> {
    let file = file.as_fd();
    match flock(file, FlockOperation::LockExclusive) {
        Ok(()) => return Ok(FileLock { _name: None }),
        Err(error) if is_unsupported(error) => {}
        Err(error) => return Err(error.into()),
    }
    for _ in 1..ATTEMPTS {
        match take_name(file) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => pause(),
            taken => return Ok(FileLock { _name: Some(taken?) }),
        }
    }
    Ok(FileLock { _name: Some(take_name(file)?) })
}

#[expect(clippy::disallowed_methods, reason = "the kernel has no way to wait for a name")]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// Whether another handle has a lock of this file.
#[must_use]
pub fn is_locked(file: &std::fs::File) -> bool {
    match file.try_lock_shared() {
        // Nothing else can be done with what cannot be unlocked; the caller's handle is about to go.
        Ok(()) => {
            let _ = file.unlock();
            false
        }
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(_)) => {
            take_name(file.as_fd()).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        }
    }
}

/// Gives the lock of an open file up, whoever has copies of its handle. A lock that is a name ends with the
/// [`FileLock`].
///
/// # Errors
/// What the system says.
pub fn unlock(file: impl AsFd) -> io::Result<()> {
    Ok(flock(file.as_fd(), FlockOperation::Unlock)?)
}

fn flock(file: BorrowedFd<'_>, operation: FlockOperation) -> Result<(), Errno> {
    retry_on_intr(|| rustix::fs::flock(file, operation))
}

/// Takes the name that stands for a file.
fn take_name(file: BorrowedFd<'_>) -> io::Result<UnixDatagram> {
    let found = rustix::fs::fstat(file)?;
    let name = format!("quiver-lock-{:x}-{:x}", found.st_dev, found.st_ino);
    let address = SocketAddr::from_abstract_name(name)?;
    UnixDatagram::bind_addr(&address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => io::ErrorKind::WouldBlock.into(),
        // Sockets of this kind are forbidden here.
        _ => io::ErrorKind::Unsupported.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn one_handle_has_the_lock() {
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
    fn a_name_stands_for_one_file() {
        let [one, two] = [(); 2].map(|()| tempfile::NamedTempFile::new().unwrap());
        let other = File::open(one.path()).unwrap();
        let held = take_name(one.as_file().as_fd()).unwrap();
        assert_eq!(take_name(other.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        take_name(two.as_file().as_fd()).unwrap();
        drop(held);
        take_name(other.as_fd()).unwrap();
    }
}
