//! The calls of this crate that only Unix has.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;

use rustix::termios::{LocalModes, OptionalActions, Termios};

/// Standard input without a buffer, to be read on a thread of its own.
pub(crate) fn raw_stdin() -> io::Result<File> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

/// Standard output without a buffer, so that what was written was taken.
pub(crate) fn raw_stdout() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// Puts the terminal back as it was, when dropped: a line editor or a hidden question that a signal
/// interrupts leaves it without echo.
#[derive(Debug)]
pub(crate) struct TerminalRestorer(Option<Termios>);

impl TerminalRestorer {
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

impl Drop for TerminalRestorer {
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
