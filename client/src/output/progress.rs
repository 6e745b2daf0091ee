//! Progress bars, where somebody can see them: how much, how fast, how long still.
//!
//! A bar is drawn by its own ticking thread, never by the one that drives QUIC.

use std::fmt::Write;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use quiver_protocol::text::display_safe;

/// What is faster than this needs no bar.
const WORTH_A_BAR: Duration = Duration::from_millis(300);

const REDRAW: Duration = Duration::from_millis(100);

const TEMPLATE: &str =
    "{prefix} {wide_bar} {share} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";

/// Where nobody knows how much there is.
const COUNTER: &str = "{prefix} {bytes} {bytes_per_sec}";

/// All bars of this program, one below the other.
#[derive(Debug)]
pub struct Bars {
    shown: Option<MultiProgress>,
}

/// One file's bar; gone when dropped.
#[derive(Debug)]
pub struct Bar {
    bars: Option<MultiProgress>,
    /// The bar that this one is a part of.
    total: Option<Total>,
    name: String,
    /// `None` where nobody knows.
    size: Option<u64>,
    since: Instant,
    /// Where the content begins that comes now.
    offset: u64,
    drawn: Option<ProgressBar>,
}

/// The bar of several files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Total(Arc<Mutex<(Bar, u64)>>);

impl Bars {
    /// On stderr, where that is a terminal that can move its cursor.
    #[must_use]
    pub fn on_stderr() -> Self {
        let able = std::io::stderr().is_terminal()
            && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        Self { shown: able.then(MultiProgress::new) }
    }

    /// Nowhere.
    #[must_use]
    pub fn none() -> Self {
        Self { shown: None }
    }

    /// A bar for a file of `size` bytes, of which `offset` are here already; of a pipe's size nothing is
    /// known.
    #[must_use]
    pub fn bar(&self, name: &str, size: impl Into<Option<u64>>, offset: u64) -> Bar {
        Bar {
            bars: self.shown.clone(),
            total: None,
            name: display_safe(name).into_owned(),
            size: size.into(),
            since: Instant::now(),
            offset,
            drawn: None,
        }
    }

    /// A bar for several files of `bytes` bytes together.
    #[must_use]
    pub fn total(&self, name: &str, bytes: u64) -> Total {
        Total(Arc::new(Mutex::new((self.bar(name, bytes, 0), 0))))
    }

    /// Does something that prints, while no bar is in the way.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.shown {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
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
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
        let Some(bars) = &self.bars else { return };
        if self.drawn.is_none() && self.since.elapsed() > WORTH_A_BAR {
            let bar = self.size.map_or_else(ProgressBar::no_length, ProgressBar::new);
            let bar = bars.add(bar.with_elapsed(self.since.elapsed()));
            bar.set_style(style(if self.size.is_some() { TEMPLATE } else { COUNTER }));
            bar.set_prefix(self.name.clone());
            // Known to the estimate before it begins: what was here has not come in no time.
            let most = self.size.map_or(u64::MAX, |size| size.saturating_sub(1));
            bar.set_position(self.offset.min(most));
            bar.tick();
            bar.reset_eta();
            bar.enable_steady_tick(REDRAW);
            self.drawn = Some(bar);
        }
        if let Some(bar) = &self.drawn {
            let shown = self.size.map_or(bytes, |size| bytes.min(size.saturating_sub(1)));
            bar.set_position(shown.max(bar.position()));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.drawn {
            bar.finish_and_clear();
        }
    }
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
