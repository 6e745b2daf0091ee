//! The system calls of this crate that exist only on Unix.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::termios::{LocalModes, OptionalActions, Termios};

/// Returns standard input without a buffer, to be read on a separate thread.
pub(crate) fn raw_stdin() -> io::Result<File> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

/// Returns standard output without a buffer, so that a finished write was accepted by its pipe or file.
pub(crate) fn raw_stdout() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// The number of columns of a terminal; `None` if it is none, or does not know.
pub(crate) fn terminal_width(stream: impl AsFd) -> Option<usize> {
    Some(terminal_size(stream)?.1).filter(|columns| *columns > 0)
}

/// Rows and columns of a terminal, 0 where it does not know; `None` if it is none.
pub(crate) fn terminal_size(stream: impl AsFd) -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some((size.ws_row.into(), size.ws_col.into()))
}

/// Restores the terminal's settings when dropped. A signal that interrupts the line editor or a hidden
/// question leaves the terminal without echo.
#[derive(Debug)]
pub(crate) struct TerminalRestorer(Option<Termios>);

impl TerminalRestorer {
    /// Saves the current settings.
    pub(crate) fn save() -> Self {
        Self(rustix::termios::tcgetattr(io::stdin()).ok())
    }

    /// Saves the current settings and turns echo off. Control characters are passed on to the next reader: the
    /// terminal's line discipline would lose a Ctrl-D typed before that reader sets its own mode.
    pub(crate) fn save_and_hide_input() -> Self {
        let saved = Self::save();
        if let Some(settings) = &saved.0 {
            let mut hidden = settings.clone();
            let echo = LocalModes::ECHO | LocalModes::ECHONL;
            hidden.local_modes.remove(echo | LocalModes::ICANON | LocalModes::ISIG);
            // If this fails, the question that follows fails in the same way.
            let _ = rustix::termios::tcsetattr(io::stdin(), OptionalActions::Now, &hidden);
        }
        saved
    }
}

impl Drop for TerminalRestorer {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            // Does not wait for pending output, which a stopped terminal never accepts. A closed terminal
            // needs no settings.
            let _ = rustix::termios::tcsetattr(io::stdin(), OptionalActions::Now, settings);
        }
    }
}

/// The signals that ask the program to end: SIGINT and SIGTERM.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

/// A received signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Signals {
    /// Starts to catch these signals. Also catches SIGXFSZ, so that writing past the file size limit is an
    /// error of that write and does not end the program.
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // A handler that was installed once keeps the signal from ending the program, even after it is dropped.
        drop(signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?);
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}
