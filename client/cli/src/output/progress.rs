//! Progress bars on a terminal, with bytes, rate and time left.
//!
//! A separate thread draws them. Transfers only update numbers, and never wait for a terminal that does not read.
//! If the terminal fails, only the bars are lost.

use std::fmt::Write;
use std::io::IsTerminal as _;
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use parking_lot::Mutex;
use quiver_client::journal::percent;
use quiver_client::progress::Progress;
use quiver_protocol::text::display_safe;

/// Transfers that take less time have no bar.
const BAR_DELAY: Duration = Duration::from_millis(300);

const REDRAW_INTERVAL: Duration = Duration::from_millis(100);

/// Time limit for clearing the bars at the end.
const CLEAR_TIMEOUT: Duration = Duration::from_millis(500);

const BAR_TEMPLATE: &str =
    "{prefix} {wide_bar} {share} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";

/// For content of unknown size.
const COUNTER_TEMPLATE: &str = "{prefix} {bytes} {bytes_per_sec}";

/// All progress bars of the program, one below the other.
#[derive(Debug)]
pub struct ProgressBars {
    /// `None` without a suitable terminal.
    shared: Option<Arc<SharedBars>>,
}

#[derive(Debug)]
struct SharedBars {
    /// Transfers that the drawing thread has not seen yet. Never locked while drawing or printing.
    added: Mutex<Vec<Arc<Progress>>>,
    /// Locked while drawing or printing, which may block on the terminal.
    state: Mutex<BarState>,
}

#[derive(Debug, Default)]
struct BarState {
    multi: MultiProgress,
    bars: Vec<(Arc<Progress>, Option<ProgressBar>)>,
    is_stopped: bool,
}

impl ProgressBars {
    /// Draws on stderr if that is a terminal that can move its cursor.
    #[must_use]
    pub fn on_stderr() -> Self {
        let is_capable = std::io::stderr().is_terminal()
            && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        Self { shared: is_capable.then(SharedBars::start).flatten() }
    }

    /// Draws nothing.
    #[must_use]
    pub fn none() -> Self {
        Self { shared: None }
    }

    /// Shows the progress of a transfer until it ends.
    pub fn add(&self, progress: Arc<Progress>) {
        if let Some(shared) = &self.shared {
            shared.added.lock().push(progress);
        }
    }

    /// Clears the bars and calls `print`. Blocks.
    pub(super) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        let Some(shared) = &self.shared else { return print() };
        let mut state = shared.state.lock();
        state.clear(&shared.added);
        print()
    }

    /// Stops drawing and clears the bars. Gives up after `CLEAR_TIMEOUT`.
    pub fn stop(&self) {
        let Some(shared) = self.shared.clone() else { return };
        let (sender, cleared) = mpsc::channel();
        let spawned = thread::Builder::new().name("bars".to_owned()).spawn(move || {
            let mut state = shared.state.lock();
            state.clear(&shared.added);
            state.is_stopped = true;
            // Fails after the timeout.
            let _ = sender.send(());
        });
        if spawned.is_ok() {
            // After the timeout the bars remain on the terminal.
            let _ = cleared.recv_timeout(CLEAR_TIMEOUT);
        }
    }
}

impl SharedBars {
    /// Starts the drawing thread; `None` if that fails.
    fn start() -> Option<Arc<Self>> {
        let shared = Arc::new(Self { added: Mutex::default(), state: Mutex::default() });
        let weak = Arc::downgrade(&shared);
        let spawned = thread::Builder::new().name("bars".to_owned()).spawn(move || {
            while let Some(shared) = Weak::upgrade(&weak) {
                shared.state.lock().draw(&shared.added);
                drop(shared);
                thread::park_timeout(REDRAW_INTERVAL);
            }
        });
        spawned.is_ok().then_some(shared)
    }
}

impl BarState {
    fn draw(&mut self, added: &Mutex<Vec<Arc<Progress>>>) {
        if self.is_stopped {
            return;
        }
        self.update(added);
        for (progress, bar) in &mut self.bars {
            if bar.is_none() && is_due(progress) {
                *bar = Some(new_bar(progress, &self.multi));
            }
            if let Some(bar) = bar {
                bar.set_position(displayed(progress, progress.bytes()));
                bar.tick();
            }
        }
    }

    /// Clears all bars from the terminal; the next [`draw`](Self::draw) shows those of running transfers again.
    fn clear(&mut self, added: &Mutex<Vec<Arc<Progress>>>) {
        self.update(added);
        // An error loses only the bars.
        let _ = self.multi.clear();
    }

    /// Takes over added transfers and removes finished ones.
    fn update(&mut self, added: &Mutex<Vec<Arc<Progress>>>) {
        let added = std::mem::take(&mut *added.lock());
        self.bars.extend(added.into_iter().map(|progress| (progress, None)));
        self.bars.retain(|(progress, bar)| {
            let is_over = progress.is_over();
            if let Some(bar) = bar.as_ref().filter(|_| is_over) {
                bar.finish_and_clear();
                self.multi.remove(bar);
            }
            !is_over
        });
    }
}

/// Whether a transfer has run long enough for a bar.
fn is_due(progress: &Progress) -> bool {
    progress.is_moving() && progress.started_at().elapsed() > BAR_DELAY
}

/// The bytes to show: always fewer than the size, because the file is not stored under its final name yet.
fn displayed(progress: &Progress, bytes: u64) -> u64 {
    bytes.min(progress.size().map_or(u64::MAX, |size| size.saturating_sub(1)))
}

fn new_bar(progress: &Progress, multi: &MultiProgress) -> ProgressBar {
    let bar = progress.size().map_or_else(ProgressBar::no_length, ProgressBar::new);
    let bar = multi.add(bar.with_elapsed(progress.started_at().elapsed()));
    bar.set_style(style(if progress.size().is_some() { BAR_TEMPLATE } else { COUNTER_TEMPLATE }));
    bar.set_prefix(display_safe(progress.name()).into_owned());
    // Set before the estimate starts, so that bytes received earlier do not count as received just now.
    bar.set_position(displayed(progress, progress.offset()));
    bar.tick();
    bar.reset_eta();
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        .with_key("share", |state: &ProgressState, out: &mut dyn Write| {
            // Writing to a String cannot fail.
            let _ = write!(out, "{:>3} %", percent(state.pos(), state.len().unwrap_or(0)));
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        assert!(ProgressStyle::with_template(BAR_TEMPLATE).is_ok());
        assert!(ProgressStyle::with_template(COUNTER_TEMPLATE).is_ok());
    }
}
