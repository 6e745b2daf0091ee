//! The calls of this crate that only Unix has.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
};
use std::path::Path;

use rustix::fs::{Access, OFlags};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios};

/// Creates a folder, and those above it, that only its owner can look into.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes sure that a folder, or the first one above it that exists, lets this process create something.
pub(crate) fn may_create_in(folder: &Path) -> io::Result<()> {
    for folder in folder.ancestors() {
        match rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK) {
            Err(Errno::NOENT) => {}
            checked => return Ok(checked?),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Creates a file that only its owner can read; never an existing one, never through a link.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Opening fails at a link, waits for no other end of a pipe, and takes no terminal.
pub(crate) const NO_SURPRISES: i32 =
    OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).bits() as i32;

/// Opens a file to lock, and creates it where it is missing.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Whether group or others have any right to an open file.
pub(crate) fn is_shared(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.mode() & 0o077 != 0)
}

/// Whether an open file is this user's, has one name, and nobody else may write to it.
pub(crate) fn is_mine_alone(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    let is_mine = metadata.uid() == rustix::process::geteuid().as_raw();
    Ok(is_mine && metadata.nlink() == 1 && metadata.mode() & 0o002 == 0)
}

/// Whether something was not opened because it is a link.
pub(crate) fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// Standard input without a buffer, to be read on a thread of its own.
pub(crate) fn raw_stdin() -> io::Result<File> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

/// Opens a file to read, and waits for nobody: not even for who writes to a pipe.
pub(crate) fn open_without_waiting(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// What is no regular file, with its article; `None` where it is one.
pub(crate) fn kind(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a folder")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

/// Standard output without a buffer, so that what was written was taken.
pub(crate) fn raw_stdout() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// Puts the terminal back as it was, when dropped: a line editor or a hidden question that a signal
/// interrupts leaves it without echo.
#[derive(Debug)]
pub(crate) struct TerminalAsItWas(Option<Termios>);

impl TerminalAsItWas {
    pub(crate) fn now() -> Self {
        Self(rustix::termios::tcgetattr(io::stdin()).ok())
    }

    /// And hides what is typed from here on. Control characters too are kept for whoever reads next: a Ctrl-D
    /// that comes before the reader takes the terminal's lines apart itself would be lost.
    pub(crate) fn without_echo() -> Self {
        let was = Self::now();
        if let Some(settings) = &was.0 {
            let mut hidden = settings.clone();
            let shown = LocalModes::ECHO | LocalModes::ECHONL;
            hidden.local_modes.remove(shown | LocalModes::ICANON | LocalModes::ISIG);
            // Where it fails, the question that follows fails in the same way.
            let _ = rustix::termios::tcsetattr(io::stdin(), OptionalActions::Now, &hidden);
        }
        was
    }
}

impl Drop for TerminalAsItWas {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            // Without waiting for its output: one that is stopped takes none. One that is gone needs no settings.
            let _ = rustix::termios::tcsetattr(io::stdin(), OptionalActions::Now, settings);
        }
    }
}

/// The signals that ask a program to end.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

/// Which signal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// A polite kill.
    Terminate,
}

impl Signals {
    /// From now on these signals come here, and a file that grows beyond the system's limit is an error
    /// of its write instead of the end of this program.
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // What is heard once does not end the program any more, though nobody listens.
        drop(signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?);
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}
