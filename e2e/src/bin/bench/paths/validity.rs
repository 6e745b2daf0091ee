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

/// Measures until the result is valid; `None` if it never was.
pub(crate) fn measure_valid<T>(path: &PathEmulator, mut measure: impl FnMut() -> T) -> Option<T> {
    for _ in 0..ATTEMPTS {
        let check = ValidityCheck::start(path);
        let result = measure();
        if !check.is_void() {
            return Some(result);
        }
        eprintln!("... void, because the machine was busy");
    }
    None
}

/// The median of the valid rounds.
///
/// # Errors
/// There is none.
pub(crate) fn valid_median(values: impl Iterator<Item = f64>) -> Result<f64, String> {
    let mut values = values.peekable();
    match values.peek() {
        Some(_) => Ok(median(values)),
        None => Err("no round was valid".to_owned()),
    }
}

/// A cell of a table.
pub(crate) fn cell(figure: &Result<f64, String>) -> String {
    figure.as_ref().map_or_else(|_| "–".to_owned(), |figure| format_figure(*figure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_valid_rounds_there_is_no_median() {
        assert_eq!(valid_median([3.0, 1.0, 2.0].into_iter()), Ok(2.0));
        assert!(valid_median(std::iter::empty()).is_err());
        assert_eq!(
            [cell(&Ok(0.5)), cell(&Err(String::new()))],
            [format_figure(0.5), "–".to_owned()]
        );
    }
}
