//! Rows on a terminal that are replaced as they change.

use std::io::{self, IsTerminal as _};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::style;
use super::terminal_block::{TerminalBlock, TerminalSize, can_move_cursor};

/// A terminal may take this long for the last rows.
const LAST_ROWS_TIMEOUT: Duration = Duration::from_millis(500);

/// Draws rows on standard output, on a thread of its own: a terminal may not read. The last rows stay.
#[derive(Debug)]
pub struct LiveRows {
    rows: Option<mpsc::Sender<Vec<String>>>,
    ended: mpsc::Receiver<()>,
}

impl LiveRows {
    /// Starts to draw; `None` if standard output is no terminal that can move its cursor.
    #[must_use]
    pub fn on_stdout() -> Option<Self> {
        if !io::stdout().is_terminal() || !can_move_cursor() {
            return None;
        }
        let (rows, changes) = mpsc::channel::<Vec<String>>();
        let (end, ended) = mpsc::channel();
        let draw = move || {
            let mut block = TerminalBlock::default();
            while let Ok(mut latest) = changes.recv() {
                // Only the latest rows matter.
                while let Ok(later) = changes.try_recv() {
                    latest = later;
                }
                let stdout = io::stdout();
                let has_colours = style::has_colours(&stdout);
                let latest = latest.into_iter().map(|row| style::shown(row, has_colours)).collect();
                // An error loses only these rows.
                let _ = block.draw(latest, TerminalSize::of(&stdout), &mut stdout.lock());
            }
            let _ = block.leave(&mut io::stdout().lock());
            // Fails after the timeout.
            let _ = end.send(());
        };
        thread::Builder::new().name("rows".to_owned()).spawn(draw).ok()?;
        Some(Self { rows: Some(rows), ended })
    }

    /// Replaces the rows.
    pub fn set(&self, rows: Vec<String>) {
        if let Some(sender) = &self.rows {
            // Fails if the thread has panicked; the rows then stay.
            let _ = sender.send(rows);
        }
    }
}

impl Drop for LiveRows {
    fn drop(&mut self) {
        self.rows = None;
        let _ = self.ended.recv_timeout(LAST_ROWS_TIMEOUT);
    }
}
