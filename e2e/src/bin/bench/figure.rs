//! The format of figures in tables and plots.

use crate::cli::format_count;

/// Formats a figure with about three significant digits.
pub(crate) fn format_figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => format_count(value.round() as u64),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 0.1 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}
