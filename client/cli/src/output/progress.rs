//! Progress bars, where somebody can see them: how much, how fast, how long still.
//!
//! A thread of their own draws them. A transfer only leaves numbers, and never waits for a terminal that takes
//! nothing. A terminal that fails shows no bars, and nothing else is lost.

use std::fmt::Write;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use parking_lot::{Mutex, MutexGuard};
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
pub struct Bars {
    screen: Option<Arc<Screen>>,
}

/// One file's bar; gone when dropped.
#[derive(Debug)]
pub struct Bar {
    progress: Option<Arc<Progress>>,
    /// The bar that this one is a part of.
    total: Option<Total>,
    /// Where the content begins that is received now.
    offset: u64,
}

/// The bar of several files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Total(Arc<Mutex<(Bar, u64)>>);

/// How far a file is: what its bar shows at the next drawing.
#[derive(Debug)]
struct Progress {
    name: String,
    /// `None` where nobody knows.
    size: Option<u64>,
    since: Instant,
    offset: u64,
    bytes: AtomicU64,
    is_moving: AtomicBool,
    is_over: AtomicBool,
}

#[derive(Debug)]
struct Screen {
    /// Bars that were not drawn yet. Never held while anything is drawn or printed.
    new: Mutex<Vec<Arc<Progress>>>,
    /// Held while something is drawn or printed, which may wait for the terminal.
    drawing: Mutex<Drawing>,
}

#[derive(Debug, Default)]
struct Drawing {
    all: MultiProgress,
    bars: Vec<(Arc<Progress>, Option<ProgressBar>)>,
    has_ended: bool,
}

impl Bars {
    /// On stderr, where that is a terminal that can move its cursor.
    #[must_use]
    pub fn on_stderr() -> Self {
        let able = std::io::stderr().is_terminal()
            && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        Self { screen: able.then(Screen::start).flatten() }
    }

    /// Nowhere.
    #[must_use]
    pub fn none() -> Self {
        Self { screen: None }
    }

    /// A bar for a file of `size` bytes, of which `offset` are here already; of a pipe's size nothing is
    /// known.
    #[must_use]
    pub fn bar(&self, name: &str, size: impl Into<Option<u64>>, offset: u64) -> Bar {
        let progress = self.screen.as_ref().map(|screen| {
            let progress = Arc::new(Progress {
                name: display_safe(name).into_owned(),
                size: size.into(),
                since: Instant::now(),
                offset,
                bytes: AtomicU64::new(offset),
                is_moving: AtomicBool::new(false),
                is_over: AtomicBool::new(false),
            });
            lock(&screen.new).push(progress.clone());
            progress
        });
        Bar { progress, total: None, offset }
    }

    /// A bar for several files of `bytes` bytes together.
    #[must_use]
    pub fn total(&self, name: &str, bytes: u64) -> Total {
        Total(Arc::new(Mutex::new((self.bar(name, bytes, 0), 0))))
    }

    /// Does something that prints, while no bar is in the way. Blocks.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        let Some(screen) = &self.screen else { return print() };
        let mut drawing = lock(&screen.drawing);
        drawing.clear(&screen.new);
        print()
    }

    /// Draws no more, and leaves nothing on the terminal, as far as that takes it at once.
    pub fn end(&self) {
        let Some(screen) = self.screen.clone() else { return };
        let (done, ended) = mpsc::channel();
        let end = thread::Builder::new().name("bars".to_owned()).spawn(move || {
            let mut drawing = lock(&screen.drawing);
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

impl Screen {
    /// With the thread that draws; `None` where there can be none.
    fn start() -> Option<Arc<Self>> {
        let screen = Arc::new(Self { new: Mutex::default(), drawing: Mutex::default() });
        let drawn = Arc::downgrade(&screen);
        let started = thread::Builder::new().name("bars".to_owned()).spawn(move || {
            while let Some(screen) = Weak::upgrade(&drawn) {
                lock(&screen.drawing).draw(&screen.new);
                drop(screen);
                thread::park_timeout(REDRAW);
            }
        });
        started.is_ok().then_some(screen)
    }
}

impl Drawing {
    fn draw(&mut self, new: &Mutex<Vec<Arc<Progress>>>) {
        if self.has_ended {
            return;
        }
        self.remove_what_is_over(new);
        for (progress, bar) in &mut self.bars {
            if bar.is_none() && progress.is_worth_a_bar() {
                *bar = Some(progress.bar(&self.all));
            }
            if let Some(bar) = bar {
                bar.set_position(progress.shown());
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
        let new = std::mem::take(&mut *lock(new));
        self.bars.extend(new.into_iter().map(|progress| (progress, None)));
        self.bars.retain(|(progress, bar)| {
            let is_over = progress.is_over.load(Ordering::Acquire);
            if let Some(bar) = bar.as_ref().filter(|_| is_over) {
                bar.finish_and_clear();
                self.all.remove(bar);
            }
            !is_over
        });
    }
}

impl Progress {
    fn is_worth_a_bar(&self) -> bool {
        self.is_moving.load(Ordering::Acquire) && self.since.elapsed() > WORTH_A_BAR
    }

    /// Never all of the file, for it is not under its name yet.
    fn shown(&self) -> u64 {
        let most = self.size.map_or(u64::MAX, |size| size.saturating_sub(1));
        self.bytes.load(Ordering::Acquire).min(most)
    }

    fn bar(&self, all: &MultiProgress) -> ProgressBar {
        let bar = self.size.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let bar = all.add(bar.with_elapsed(self.since.elapsed()));
        bar.set_style(style(if self.size.is_some() { TEMPLATE } else { COUNTER }));
        bar.set_prefix(self.name.clone());
        // Known to the estimate before it begins: what was here was not received in no time.
        let most = self.size.map_or(u64::MAX, |size| size.saturating_sub(1));
        bar.set_position(self.offset.min(most));
        bar.tick();
        bar.reset_eta();
        bar
    }
}

impl Total {
    /// One of the files, of which `offset` bytes are here already.
    #[must_use]
    pub fn part(&self, offset: u64) -> Bar {
        self.grow(offset);
        let mut bar = Bars::none().bar("", None, offset);
        bar.total = Some(self.clone());
        bar
    }

    /// So many bytes more are there.
    pub fn grow(&self, bytes: u64) {
        let mut held = self.0.lock();
        let (bar, sum) = &mut *held;
        *sum += bytes;
        let sum = *sum;
        bar.at(sum);
    }
}

impl Bar {
    /// So many bytes are there. Never shows all of them, for the file is not under its name yet, and
    /// never goes back.
    pub fn at(&mut self, bytes: u64) {
        if let Some(total) = &self.total {
            // What was begun anew counts once.
            let new = bytes.saturating_sub(self.offset);
            self.offset += new;
            return total.grow(new);
        }
        if let Some(progress) = &self.progress {
            progress.bytes.fetch_max(bytes, Ordering::AcqRel);
            progress.is_moving.store(true, Ordering::Release);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(progress) = &self.progress {
            progress.is_over.store(true, Ordering::Release);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        .with_key("share", |state: &ProgressState, out: &mut dyn Write| {
            // Nobody reads the result of writing to a String.
            let _ = write!(out, "{:>3} %", share(state.pos(), state.len().unwrap_or(0)));
        })
}

/// Rounded down: 100 only when it is all there.
pub(crate) fn share(position: u64, size: u64) -> u64 {
    let hundredths = u128::from(position) * 100 / u128::from(size.max(1));
    u64::try_from(hundredths).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_whole_before_it_is() {
        assert_eq!(share(u64::MAX - 1, u64::MAX), 99);
        assert_eq!(share(0, 0), 0);
        assert_eq!(share(5, 10), 50);
    }

    #[test]
    fn the_template_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
        assert!(ProgressStyle::with_template(COUNTER).is_ok());
    }
}
