//! Rows on a terminal that are replaced as they change.

use std::io::IsTerminal as _;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

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
        let is_capable = std::io::stdout().is_terminal()
            && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        if !is_capable {
            return None;
        }
        let (rows, changes) = mpsc::channel::<Vec<String>>();
        let (end, ended) = mpsc::channel();
        let draw = move || {
            let mut drawn = DrawnRows::new();
            while let Ok(mut latest) = changes.recv() {
                // Only the latest rows matter.
                while let Ok(later) = changes.try_recv() {
                    latest = later;
                }
                drawn.set(&latest);
            }
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

#[derive(Debug)]
struct DrawnRows {
    multi: MultiProgress,
    rows: Vec<ProgressBar>,
}

impl DrawnRows {
    fn new() -> Self {
        Self {
            multi: MultiProgress::with_draw_target(ProgressDrawTarget::stdout()),
            rows: Vec::new(),
        }
    }

    fn set(&mut self, texts: &[String]) {
        while self.rows.len() > texts.len() {
            if let Some(row) = self.rows.pop() {
                row.finish_and_clear();
                self.multi.remove(&row);
            }
        }
        let style = || {
            ProgressStyle::with_template("{wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner())
        };
        while self.rows.len() < texts.len() {
            let row = self.multi.add(ProgressBar::no_length());
            row.set_style(style());
            self.rows.push(row);
        }
        for (row, text) in self.rows.iter().zip(texts) {
            row.set_message(text.clone());
            row.tick();
        }
    }
}

impl Drop for DrawnRows {
    fn drop(&mut self) {
        for row in &self.rows {
            row.abandon();
        }
    }
}
