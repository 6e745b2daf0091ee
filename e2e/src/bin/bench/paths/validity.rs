//! Whether a measurement is valid: the emulator must not have delayed or lost packets itself, which happens if the machine
//! is busy.

use quiver_e2e::path_emulator::{Direction, LinkCounters, PathEmulator};

use crate::figure::format_figure;
use crate::measurement::median;

/// More late packets than this share make a measurement void: the machine was too busy to emulate the path.
const MAX_LATE: f64 = 0.01;

/// How often a measurement is made that is void each time.
const ATTEMPTS: usize = 3;

/// What the emulator had done before a measurement.
#[derive(Debug)]
pub(crate) struct ValidityCheck<'a> {
    path: &'a PathEmulator,
    before: [(LinkCounters, u64); 2],
}

impl<'a> ValidityCheck<'a> {
    pub(crate) fn start(path: &'a PathEmulator) -> Self {
        Self { path, before: counts(path) }
    }

    /// Whether the emulator has delayed or lost packets itself since the start, in either direction.
    pub(crate) fn is_void(&self) -> bool {
        let now = counts(self.path);
        self.before.iter().zip(&now).any(|((before, unread_before), (after, unread))| {
            let counters = after.since(before);
            unread > unread_before || counters.late as f64 > counters.packets_out as f64 * MAX_LATE
        })
    }
}

fn counts(path: &PathEmulator) -> [(LinkCounters, u64); 2] {
    Direction::BOTH.map(|direction| (path.counters(direction), path.unread(direction)))
}

/// Measures until the result is not void, but at most [`ATTEMPTS`] times. Returns all results.
pub(crate) fn measure_again<T>(
    mut measure: impl FnMut() -> T,
    is_void: impl Fn(&T) -> bool,
) -> Vec<T> {
    let mut results = Vec::with_capacity(ATTEMPTS);
    while results.len() < ATTEMPTS {
        results.push(measure());
        if results.last().is_some_and(|result| !is_void(result)) {
            break;
        }
        eprintln!("... void, because the machine was busy");
    }
    results
}

/// Measures until the result is valid; `None` if it never was.
pub(crate) fn measure_valid<T>(path: &PathEmulator, mut measure: impl FnMut() -> T) -> Option<T> {
    let attempt = || {
        let check = ValidityCheck::start(path);
        let result = measure();
        (!check.is_void()).then_some(result)
    };
    measure_again(attempt, Option::is_none).pop().flatten()
}

/// The median of the valid rounds. Not a number if there are none: a goal is then missed.
pub(crate) fn valid_median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values = values.peekable();
    if values.peek().is_some() { median(values) } else { f64::NAN }
}

/// A cell of a table.
pub(crate) fn cell(figure: f64) -> String {
    if figure.is_nan() { "–".to_owned() } else { format_figure(figure) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_void_is_measured_again_a_few_times() {
        let measure = |valid: usize| {
            let mut results = 0..;
            measure_again(move || results.next(), move |result| *result < Some(valid))
        };
        assert_eq!(measure(0), [Some(0)]);
        assert_eq!(measure(1), [Some(0), Some(1)]);
        assert_eq!(measure(usize::MAX).len(), ATTEMPTS);
    }

    #[test]
    fn without_valid_rounds_there_is_no_median() {
        assert_eq!(cell(valid_median([3.0, 1.0, 2.0].into_iter())), format_figure(2.0));
        assert!(valid_median(std::iter::empty()).is_nan());
        assert_eq!([cell(0.5), cell(f64::NAN)], [format_figure(0.5), "–".to_owned()]);
    }
}
