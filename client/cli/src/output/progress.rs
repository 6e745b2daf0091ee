//! The progress of running transfers on a terminal: a line for each, which is replaced as it changes, or a plain line
//! now and then where the terminal cannot move its cursor.
//!
//! A separate thread draws. Transfers never wait for a terminal that does not read. If the terminal fails, only the
//! progress is lost.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::human::progress_line::{ProgressState, plain_progress_line, progress_line};
use super::style;
use super::terminal_block::{TerminalBlock, TerminalSize, can_move_cursor};

/// Transfers that take less time show nothing.
const LINE_DELAY: Duration = Duration::from_millis(300);

const REDRAW_INTERVAL: Duration = Duration::from_millis(100);

/// Time between two plain lines, at the prompt too.
pub const PLAIN_LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Time limit for clearing the lines at the end.
const CLEAR_TIMEOUT: Duration = Duration::from_millis(500);

/// Reads the progress of a transfer. Called by the drawing thread.
pub type ProgressSource = Box<dyn Fn() -> ProgressState + Send>;

/// The progress of all transfers of the program, one below the other.
#[derive(Debug)]
pub struct ProgressDisplay {
    /// `None` without a terminal.
    shared: Option<Arc<SharedDisplay>>,
}

#[derive(Debug, Default)]
struct SharedDisplay {
    /// Transfers that the drawing thread has not seen yet. Never locked while drawing or printing.
    added: Mutex<Vec<ShownTransfer>>,
    /// Locked while drawing or printing, which may block on the terminal.
    state: Mutex<DisplayState>,
}

#[derive(Debug, Default)]
struct DisplayState {
    transfers: Vec<ShownTransfer>,
    block: TerminalBlock,
    is_stopped: bool,
}

struct ShownTransfer {
    source: ProgressSource,
    /// When its next line is due.
    due: Instant,
}

impl ProgressDisplay {
    /// Draws on stderr if that is a terminal.
    #[must_use]
    pub fn on_stderr() -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { shared: is_terminal.then(SharedDisplay::start).flatten() }
    }

    /// Draws nothing.
    #[must_use]
    pub fn none() -> Self {
        Self { shared: None }
    }

    /// Shows the progress of a transfer until it is over.
    pub fn add(&self, source: ProgressSource) {
        if let Some(shared) = &self.shared {
            let delay = if can_move_cursor() { LINE_DELAY } else { PLAIN_LINE_INTERVAL };
            shared.added.lock().push(ShownTransfer { source, due: Instant::now() + delay });
        }
    }

    /// Clears the lines and calls `print`. Blocks.
    pub(super) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        let Some(shared) = &self.shared else { return print() };
        let mut state = shared.state.lock();
        state.clear();
        print()
    }

    /// Stops drawing and clears the lines. Gives up after `CLEAR_TIMEOUT`.
    pub fn stop(&self) {
        let Some(shared) = self.shared.clone() else { return };
        let (sender, cleared) = mpsc::channel();
        let spawned = thread::Builder::new().name("progress".to_owned()).spawn(move || {
            let mut state = shared.state.lock();
            state.clear();
            state.is_stopped = true;
            // Fails after the timeout.
            let _ = sender.send(());
        });
        if spawned.is_ok() {
            // After the timeout the lines remain on the terminal.
            let _ = cleared.recv_timeout(CLEAR_TIMEOUT);
        }
    }
}

impl SharedDisplay {
    /// Starts the drawing thread; `None` if that fails.
    fn start() -> Option<Arc<Self>> {
        let shared = Arc::new(Self::default());
        let weak = Arc::downgrade(&shared);
        let spawned = thread::Builder::new().name("progress".to_owned()).spawn(move || {
            while let Some(shared) = Weak::upgrade(&weak) {
                shared.state.lock().draw(&shared.added);
                drop(shared);
                thread::park_timeout(REDRAW_INTERVAL);
            }
        });
        spawned.is_ok().then_some(shared)
    }
}

impl DisplayState {
    fn draw(&mut self, added: &Mutex<Vec<ShownTransfer>>) {
        if self.is_stopped {
            return;
        }
        self.transfers.append(&mut added.lock());
        let now = Instant::now();
        let is_live = can_move_cursor();
        let size = TerminalSize::of(io::stderr());
        let has_colours = style::has_colours(&io::stderr());
        let mut lines = Vec::new();
        self.transfers.retain_mut(|shown| match (shown.source)() {
            ProgressState::Over => false,
            ProgressState::Starting => true,
            ProgressState::Running(facts) => {
                if now >= shown.due {
                    let line = if is_live {
                        progress_line(&facts, size.line_width())
                    } else {
                        shown.due = now + PLAIN_LINE_INTERVAL;
                        plain_progress_line(&facts, size.line_width())
                    };
                    lines.push(style::shown(line, has_colours));
                }
                true
            }
        });
        let mut terminal = io::stderr().lock();
        // An error loses only these lines.
        let _ = if is_live {
            self.block.draw(lines, size, &mut terminal)
        } else {
            lines.iter().try_for_each(|line| writeln!(terminal, "{line}"))
        };
    }

    /// Clears all lines from the terminal; the next [`draw`](Self::draw) shows those of running transfers again.
    fn clear(&mut self) {
        // An error loses only the progress.
        let _ = self.block.clear(&mut io::stderr().lock());
    }
}

impl fmt::Debug for ShownTransfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShownTransfer").field("due", &self.due).finish_non_exhaustive()
    }
}
