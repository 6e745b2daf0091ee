//! Calls that only Unix has.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::thread::ThreadId;
use std::time::Duration;

use cap_std::fs::{Dir, OpenOptionsExt as _};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Creates an unnamed file in a folder; it is removed with its handle unless it is
/// [linked](link_unnamed). `None` if unnamed files are not supported.
pub(crate) fn create_unnamed(folder: &Dir) -> Option<File> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    // The umask applies.
    let mode = Mode::from_raw_mode(0o666);
    // File systems and kernels without unnamed files give various errors. A full or failing disk
    // gives its error again when a named file is created.
    rustix::fs::openat(folder, ".", flags, mode).ok().map(File::from)
}

/// Links an unnamed file atomically, and fails with `AlreadyExists` if the name exists. `false` if
/// the system or the file system does not allow this to the process.
pub(crate) fn link_unnamed(file: &File, folder: &Dir, name: &str) -> io::Result<bool> {
    let linked = match rustix::fs::linkat(file, "", folder, name, AtFlags::EMPTY_PATH) {
        // Before Linux 6.10 only a privileged process may do this; others use /proc.
        Err(Errno::NOENT | Errno::PERM) => {
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            rustix::fs::linkat(rustix::fs::CWD, path, folder, name, AtFlags::SYMLINK_FOLLOW)
        }
        linked => linked,
    };
    match linked {
        Err(error @ Errno::EXIST) => Err(error.into()),
        linked => Ok(linked.is_ok()),
    }
}

/// Opens without waiting for the other end of a pipe, and without acquiring a controlling terminal.
pub(crate) fn set_nonblocking(
    options: &mut cap_std::fs::OpenOptions,
) -> &mut cap_std::fs::OpenOptions {
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32)
}

/// Flags of an open that does not follow a link, does not wait for the other end of a pipe, and
/// does not acquire a controlling terminal.
pub(crate) const SAFE_OPEN: i32 =
    OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).bits() as i32;

/// Opens a file below a folder for reading, in one system call for the whole path. Follows no link
/// and never blocks. `None` on any error.
pub(crate) fn open_beneath(root: &Dir, path: &str) -> Option<File> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags, Mode::empty(), beneath).ok().map(File::from)
}

/// Whether opening failed because the file is a socket, or a device without a driver.
pub(crate) fn is_unopenable(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::NXIO | Errno::NODEV))
}

/// Whether an open file belongs to this user, has only one name, and is not writable for others.
pub(crate) fn is_exclusively_owned(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    let is_mine = metadata.uid() == rustix::process::geteuid().as_raw();
    Ok(is_mine && metadata.nlink() == 1 && metadata.mode() & 0o002 == 0)
}

/// Whether a name in a folder refers to this open file.
pub(crate) fn has_name(file: &File, folder: &Dir, name: &str) -> io::Result<bool> {
    let open = rustix::fs::fstat(file)?;
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(named) => Ok((open.st_dev, open.st_ino) == (named.st_dev, named.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether an open folder was removed. False if that is not known.
pub(crate) fn is_removed(folder: &Dir) -> bool {
    rustix::fs::fstat(folder).is_ok_and(|found| found.st_nlink == 0)
}

/// Whether a file has no blocks on a disk.
pub(crate) fn has_no_blocks(metadata: &Metadata) -> bool {
    metadata.blocks() == 0
}

/// Whether a file is executable for its owner.
pub(crate) fn is_executable(metadata: &Metadata) -> bool {
    metadata.mode() & 0o100 != 0
}

/// Nice value of background threads: beside a busy thread of normal priority such a thread gets a
/// thirtieth of a processor, and a whole one if no other thread is busy (sched(7): weights of 36
/// and 1024).
const BACKGROUND_NICE: i32 = 15;

/// Lowers the priority of the calling thread permanently. If the system refuses, the thread keeps
/// its priority, which only slows down other threads.
pub(crate) fn lower_thread_priority() {
    // On Linux this applies to the calling thread only, and also lowers its I/O priority
    // (ioprio_set(2)).
    let _ = rustix::process::setpriority_process(None, BACKGROUND_NICE);
}

/// How long a thread has run or waited for a processor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadTime {
    thread: ThreadId,
    busy: Duration,
}

impl ThreadTime {
    /// How long it was busy since `earlier`; `None` if that was measured on another thread.
    pub(crate) fn busy_since(self, earlier: Self) -> Option<Duration> {
        (self.thread == earlier.thread).then(|| self.busy.saturating_sub(earlier.busy))
    }
}

/// The time of the current thread; `None` if the system does not report it. Takes some
/// microseconds, and does not wait for a disk.
pub(crate) fn thread_time() -> Option<ThreadTime> {
    // Nanoseconds on a processor, and nanoseconds in its run queue (Linux, sched-stats.rst).
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut numbers = text.split_ascii_whitespace().map(str::parse::<u64>);
    let (ran, waited) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let busy = Duration::from_nanos(ran.saturating_add(waited));
    Some(ThreadTime { thread: std::thread::current().id(), busy })
}
