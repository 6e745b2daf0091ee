//! The calls of this crate that only Unix has.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::thread::ThreadId;
use std::time::Duration;

use cap_std::fs::{Dir, OpenOptionsExt as _};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

/// Creates a file in a folder that has no name yet, and is gone with its handle unless it is
/// [given](give_name) one. `None` where there are no such files.
pub(crate) fn nameless(folder: &Dir) -> Option<File> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    // Less what the user takes away from all new files.
    let everybody = Mode::from_raw_mode(0o666);
    // File systems and kernels without such files have many words for that. A disk that is full or failing says
    // so again when a file with a name is created.
    rustix::fs::openat(folder, ".", flags, everybody).ok().map(File::from)
}

/// Gives a nameless file its name, and refuses with `AlreadyExists` where that is taken, in one step. Whether
/// it has it: not where the system, or the file system, does not let this process.
pub(crate) fn give_name(file: &File, folder: &Dir, name: &str) -> io::Result<bool> {
    let given = match rustix::fs::linkat(file, "", folder, name, AtFlags::EMPTY_PATH) {
        // Before Linux 6.10 only a privileged process may: others go by way of /proc.
        Err(Errno::NOENT | Errno::PERM) => {
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            rustix::fs::linkat(rustix::fs::CWD, path, folder, name, AtFlags::SYMLINK_FOLLOW)
        }
        given => given,
    };
    match given {
        Err(error @ Errno::EXIST) => Err(error.into()),
        given => Ok(given.is_ok()),
    }
}

/// Opens without waiting for the other end of a pipe, and never takes a terminal as its own.
pub(crate) fn without_waiting(
    options: &mut cap_std::fs::OpenOptions,
) -> &mut cap_std::fs::OpenOptions {
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32)
}

/// Opening fails at a link, waits for no other end of a pipe, and takes no terminal.
pub(crate) const NO_SURPRISES: i32 =
    OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).bits() as i32;

/// Whether an open file is this user's, has one name, and nobody else may write to it.
pub(crate) fn is_mine_alone(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    let is_mine = metadata.uid() == rustix::process::geteuid().as_raw();
    Ok(is_mine && metadata.nlink() == 1 && metadata.mode() & 0o002 == 0)
}

/// Whether an open file is what a name in a folder stands for now.
pub(crate) fn is_same(file: &File, folder: &Dir, name: &str) -> io::Result<bool> {
    let open = rustix::fs::fstat(file)?;
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(named) => Ok((open.st_dev, open.st_ino) == (named.st_dev, named.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether a file has no blocks on a disk.
pub(crate) fn has_no_blocks(metadata: &Metadata) -> bool {
    metadata.blocks() == 0
}

/// Whether its owner may run a file.
pub(crate) fn is_executable(metadata: &Metadata) -> bool {
    metadata.mode() & 0o100 != 0
}

/// How much a background thread gives way: beside a busy thread of normal priority it has a thirtieth of a
/// processor, beside none all of it (sched(7): weights of 36 and 1024).
const BACKGROUND_NICE: i32 = 15;

/// Lets the calling thread give way to others, for good. Where the system refuses, it is a thread like the
/// others: slower for them, not wrong.
pub(crate) fn lower_thread_priority() {
    // On Linux this is of the calling thread alone, and lowers its priority for disks too (ioprio_set(2)).
    let _ = rustix::process::setpriority_process(None, BACKGROUND_NICE);
}

/// How long a thread has worked, or waited for its turn to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadTime {
    thread: ThreadId,
    busy: Duration,
}

impl ThreadTime {
    /// How long it was busy since an earlier look; `None` where that was at another thread.
    pub(crate) fn since(self, before: Self) -> Option<Duration> {
        (self.thread == before.thread).then(|| self.busy.saturating_sub(before.busy))
    }
}

/// This thread's; `None` where the system does not tell. Takes some microseconds, and waits for no disk.
pub(crate) fn thread_time() -> Option<ThreadTime> {
    // Nanoseconds on a processor, and in the queue before one (Linux, sched-stats.rst).
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut numbers = text.split_ascii_whitespace().map(str::parse::<u64>);
    let (ran, waited) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let busy = Duration::from_nanos(ran.saturating_add(waited));
    Some(ThreadTime { thread: std::thread::current().id(), busy })
}
