//! The signals that stop the server. Does not know how the server stops.

use std::future::pending;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::unix;

/// Receives SIGINT, SIGTERM and SIGHUP from its creation on.
#[derive(Debug)]
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where SIGHUP was ignored when the server was started, as with `nohup`.
    hangup: Option<Signal>,
}

impl StopSignals {
    /// Begins to receive these signals, which no longer end the process.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn listen() -> io::Result<Self> {
        let is_ignored = unix::is_signal_ignored(rustix::process::Signal::HUP);
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: if is_ignored { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// Waits for the first of these signals.
    pub(crate) async fn wait_for_stop(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }

    /// Waits for the next SIGINT or SIGTERM. SIGHUP does not count: when a terminal is closed, the shell and the kernel
    /// may both send it.
    pub(crate) async fn wait_for_abort(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
