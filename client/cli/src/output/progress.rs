//! Progress bars, where somebody can see them: how much, how fast, how long still.
//!
//! A thread of their own draws them. A transfer only leaves numbers, and never waits for a terminal that takes
//! nothing. A terminal that fails shows no bars, and nothing else is lost.

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

/// What is faster than this needs no bar.
const WORTH_A_BAR: Duration = Duration::from_millis(300);

const REDRAW: Duration = Duration::from_millis(100);

/// How long the terminal may take to be cleared of bars at the end.
const LAST_DRAWING: Duration = Duration::from_millis(500);

const TEMPLATE: &str =
    "{prefix} {wide_bar} {share} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";

/// Where nobody knows how much there is.
const COUNTER: &str = "{prefix} {bytes} {bytes_per_sec}";

/// All bars of this program, one below the other.
#[derive(Debug)]
pub struct ProgressBars {
    screen: Option<Arc<BarScreen>>,
}

#[derive(Debug)]
struct BarScreen {
    /// Bars that were not drawn yet. Never held while anything is drawn or printed.
    new: Mutex<Vec<Arc<Progress>>>,
    /// Held while something is drawn or printed, which may wait for the terminal.
    drawing: Mutex<BarState>,
}

#[derive(Debug, Default)]
struct BarState {
    all: MultiProgress,
    bars: Vec<(Arc<Progress>, Option<ProgressBar>)>,
    has_ended: bool,
}

impl ProgressBars {
    /// On stderr, where that is a terminal that can move its cursor.
    #[must_use]
    pub fn on_stderr() -> Self {
        let able = std::io::stderr().is_terminal()
            && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        Self { screen: able.then(BarScreen::start).flatten() }
    }

    /// Nowhere.
    #[must_use]
    pub fn none() -> Self {
        Self { screen: None }
    }

    /// Shows how far something is, for as long as that is not over.
    pub fn show(&self, progress: Arc<Progress>) {
        if let Some(screen) = &self.screen {
            screen.new.lock().push(progress);
        }
    }

    /// Does something that prints, while no bar is in the way. Blocks.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        let Some(screen) = &self.screen else { return print() };
        let mut drawing = screen.drawing.lock();
        drawing.clear(&screen.new);
        print()
    }

    /// Draws no more, and leaves nothing on the terminal, as far as that takes it at once.
    pub fn end(&self) {
        let Some(screen) = self.screen.clone() else { return };
        let (done, ended) = mpsc::channel();
        let end = thread::Builder::new().name("bars".to_owned()).spawn(move || {
            let mut drawing = screen.drawing.lock();
            drawing.clear(&screen.new);
            drawing.has_ended = true;
            // Fails where it took too long.
            let _ = done.send(());
        });
        if end.is_ok() {
            // Where it takes longer, the bars stay.
            let _ = ended.recv_timeout(LAST_DRAWING);
        }
    }
}

impl BarScreen {
    /// With the thread that draws; `None` where there can be none.
    fn start() -> Option<Arc<Self>> {
        let screen = Arc::new(Self { new: Mutex::default(), drawing: Mutex::default() });
        let drawn = Arc::downgrade(&screen);
        let started = thread::Builder::new().name("bars".to_owned()).spawn(move || {
            while let Some(screen) = Weak::upgrade(&drawn) {
                screen.drawing.lock().draw(&screen.new);
                drop(screen);
                thread::park_timeout(REDRAW);
            }
        });
        started.is_ok().then_some(screen)
    }
}

impl BarState {
    fn draw(&mut self, new: &Mutex<Vec<Arc<Progress>>>) {
        if self.has_ended {
            return;
        }
        self.remove_what_is_over(new);
        for (progress, bar) in &mut self.bars {
            if bar.is_none() && is_worth_a_bar(progress) {
                *bar = Some(new_bar(progress, &self.all));
            }
            if let Some(bar) = bar {
                bar.set_position(shown(progress, progress.bytes()));
                bar.tick();
            }
        }
    }

    /// Takes all bars off the terminal; those of running transfers are back with the next drawing.
    fn clear(&mut self, new: &Mutex<Vec<Arc<Progress>>>) {
        self.remove_what_is_over(new);
        // A terminal that fails shows no bars.
        let _ = self.all.clear();
    }

    fn remove_what_is_over(&mut self, new: &Mutex<Vec<Arc<Progress>>>) {
        let new = std::mem::take(&mut *new.lock());
        self.bars.extend(new.into_iter().map(|progress| (progress, None)));
        self.bars.retain(|(progress, bar)| {
            let is_over = progress.is_over();
            if let Some(bar) = bar.as_ref().filter(|_| is_over) {
                bar.finish_and_clear();
                self.all.remove(bar);
            }
            !is_over
        });
    }
}

fn is_worth_a_bar(progress: &Progress) -> bool {
    progress.is_moving() && progress.started_at().elapsed() > WORTH_A_BAR
}

/// Never all of a file, for it is not under its name yet.
fn shown(progress: &Progress, bytes: u64) -> u64 {
    bytes.min(progress.size().map_or(u64::MAX, |size| size.saturating_sub(1)))
}

fn new_bar(progress: &Progress, all: &MultiProgress) -> ProgressBar {
    let bar = progress.size().map_or_else(ProgressBar::no_length, ProgressBar::new);
    let bar = all.add(bar.with_elapsed(progress.started_at().elapsed()));
    bar.set_style(style(if progress.size().is_some() { TEMPLATE } else { COUNTER }));
    bar.set_prefix(display_safe(progress.name()).into_owned());
    // Known to the estimate before it begins: what was here was not received in no time.
    bar.set_position(shown(progress, progress.offset()));
    bar.tick();
    bar.reset_eta();
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        .with_key("share", |state: &ProgressState, out: &mut dyn Write| {
            // Nobody reads the result of writing to a String.
            let _ = write!(out, "{:>3} %", percent(state.pos(), state.len().unwrap_or(0)));
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
        assert!(ProgressStyle::with_template(COUNTER).is_ok());
    }
}
