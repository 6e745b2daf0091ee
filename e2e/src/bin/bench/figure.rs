//! How a figure is written in every table and plot.

use crate::cli::count;

/// A figure with about three digits that count.
pub(crate) fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => count(value.round() as u64),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 0.1 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}
