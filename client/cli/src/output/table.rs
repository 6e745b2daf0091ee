//! Rows of a list in aligned columns. Pure: the width is an argument.

use super::style;
use super::wrap::fill;

/// Between two columns.
const GAP: &str = "  ";

/// Begins the further lines of a row that does not fit.
const INDENT: &str = "    ";

/// The rows, each with its cells in aligned columns; a column without content is left out. Where a row is wider than
/// the terminal, rows are broken between their cells. `None` is no terminal.
#[must_use]
pub fn aligned(rows: &[Vec<String>], width: Option<usize>) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().map(|row| cell_width(row, column)).max().unwrap_or_default())
        .collect();
    let lines: Vec<_> = rows.iter().map(|row| line(row, &widths)).collect();
    match width {
        Some(width) if lines.iter().any(|line| style::width(line) > width) => {
            rows.iter().flat_map(|row| broken(row, width)).collect()
        }
        _ => lines,
    }
}

fn cell_width(row: &[String], column: usize) -> usize {
    row.get(column).map_or(0, |cell| style::width(cell))
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (column, cell) in row.iter().enumerate().filter(|(column, _)| widths[*column] > 0) {
        let padding = widths[column] - style::width(cell);
        line += &format!("{cell}{}{GAP}", " ".repeat(padding));
    }
    line.truncate(line.trim_end().len());
    line
}

/// A row in as many lines as it needs.
fn broken(row: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for cell in row.iter().filter(|cell| !cell.is_empty()) {
        match lines.last_mut() {
            Some(last) if style::width(last) + GAP.len() + style::width(cell) <= width => {
                *last += GAP;
                *last += cell;
            }
            last => {
                let first = if last.is_none() { "" } else { INDENT };
                lines.extend(fill(cell, width, first, INDENT));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::{NAME, painted};

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    #[test]
    fn cells_are_aligned_whatever_their_colours_and_characters() {
        let mut rows = rows(&[&["", "can be reached", "", "key verified"], &["写真", "no"]]);
        rows[0][0] = painted(NAME, "Ron");
        let lines = aligned(&rows, None);
        assert_eq!(style::plain(&lines[0]), "Ron   can be reached  key verified");
        assert_eq!(lines[1], "写真  no");
        assert_eq!(aligned(&[], Some(40)), [""; 0]);
    }

    #[test]
    fn rows_that_do_not_fit_are_broken_between_their_cells() {
        let rows =
            rows(&[&["1: a from b", "running", "61 % of 600.0 MB", "a name, and another name"]]);
        let lines = aligned(&rows, Some(30));
        assert_eq!(
            lines,
            ["1: a from b  running", "    61 % of 600.0 MB", "    a name, and another name"]
        );
        for width in 12..80 {
            let lines = aligned(&rows, Some(width));
            assert!(lines.iter().all(|line| line.len() <= width.max(20)), "{width}: {lines:?}");
        }
    }
}
