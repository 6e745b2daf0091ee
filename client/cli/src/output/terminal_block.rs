//! Lines at the end of a terminal that are replaced as they change. Knows nothing of transfers.
//!
//! The cursor stays at the start of the first line. A terminal that becomes narrower breaks the lines, and keeps the
//! cursor at their start: what is erased from there on is all of them.

use std::io::{self, Write};
use std::os::fd::AsFd;

use super::cut::cut_end;
use super::style;
use crate::unix::terminal_size;

/// Assumed if the terminal does not tell its size.
const DEFAULT_SIZE: TerminalSize = TerminalSize { rows: 24, columns: 80 };

const ERASE_LINE: &str = "\x1b[K";
const ERASE_BELOW: &str = "\x1b[J";

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TerminalSize {
    rows: usize,
    columns: usize,
}

impl TerminalSize {
    /// The size of a terminal now.
    pub(super) fn of(terminal: impl AsFd) -> Self {
        match terminal_size(terminal) {
            Some((rows, columns)) if rows > 0 && columns > 0 => Self { rows, columns },
            _ => DEFAULT_SIZE,
        }
    }

    /// Columns that a line may use: the cursor must not reach the next row.
    pub(super) fn line_width(self) -> usize {
        self.columns.saturating_sub(1)
    }
}

/// Whether a terminal can move its cursor.
pub(super) fn can_move_cursor() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// The lines that are drawn.
#[derive(Debug, Default)]
pub(super) struct TerminalBlock {
    drawn: Vec<String>,
    /// The size for which they were drawn.
    size: Option<TerminalSize>,
}

impl TerminalBlock {
    /// Replaces the lines, cut to the size of the terminal.
    pub(super) fn draw(
        &mut self,
        mut lines: Vec<String>,
        size: TerminalSize,
        terminal: &mut impl Write,
    ) -> io::Result<()> {
        let most = size.rows.saturating_sub(1).max(1);
        if lines.len() > most {
            let left_out = lines.len() - (most - 1);
            lines.truncate(most - 1);
            lines.push(format!("and {left_out} more"));
        }
        for line in &mut lines {
            if style::width(line) > size.line_width() {
                *line = cut_end(&style::plain(line), size.line_width());
            }
        }
        if lines.is_empty() {
            return self.clear(terminal);
        }
        if lines == self.drawn && self.size == Some(size) {
            return Ok(());
        }
        let rows: Vec<_> = lines.iter().map(|line| format!("{line}{ERASE_LINE}")).collect();
        let text = format!("\r{}{ERASE_BELOW}{}\r", rows.join("\r\n"), cursor_up(lines.len() - 1));
        // Also if writing fails: part of it may be there.
        (self.drawn, self.size) = (lines, Some(size));
        terminal.write_all(text.as_bytes())?;
        terminal.flush()
    }

    /// Erases the lines.
    pub(super) fn clear(&mut self, terminal: &mut impl Write) -> io::Result<()> {
        if self.drawn.is_empty() {
            return Ok(());
        }
        self.drawn.clear();
        terminal.write_all(format!("\r{ERASE_BELOW}").as_bytes())?;
        terminal.flush()
    }

    /// Leaves the lines as they are, and puts the cursor below them.
    pub(super) fn leave(&mut self, terminal: &mut impl Write) -> io::Result<()> {
        let below = "\r\n".repeat(self.drawn.len());
        self.drawn.clear();
        terminal.write_all(below.as_bytes())?;
        terminal.flush()
    }
}

fn cursor_up(rows: usize) -> String {
    if rows == 0 { String::new() } else { format!("\x1b[{rows}A") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: TerminalSize = TerminalSize { rows: 4, columns: 10 };

    fn drawn(block: &mut TerminalBlock, lines: &[&str], size: TerminalSize) -> String {
        let mut written = Vec::new();
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        block.draw(lines, size, &mut written).unwrap();
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn the_cursor_stays_at_the_start_of_the_first_line() {
        let mut block = TerminalBlock::default();
        assert_eq!(drawn(&mut block, &["one"], SIZE), "\rone\x1b[K\x1b[J\r");
        let two = drawn(&mut block, &["one", "two"], SIZE);
        assert_eq!(two, "\rone\x1b[K\r\ntwo\x1b[K\x1b[J\x1b[1A\r");
        assert_eq!(drawn(&mut block, &[], SIZE), "\r\x1b[J");
        assert_eq!(drawn(&mut block, &[], SIZE), "");
    }

    #[test]
    fn lines_are_drawn_again_only_if_they_or_the_terminal_have_changed() {
        let mut block = TerminalBlock::default();
        drawn(&mut block, &["one"], SIZE);
        assert_eq!(drawn(&mut block, &["one"], SIZE), "");
        let narrower = TerminalSize { columns: 9, ..SIZE };
        assert_ne!(drawn(&mut block, &["one"], narrower), "");
    }

    #[test]
    fn the_lines_never_exceed_the_terminal() {
        let mut block = TerminalBlock::default();
        let text = drawn(&mut block, &["a long line", "b", "c", "d"], SIZE);
        assert_eq!(
            text, "\ra long l…\x1b[K\r\nb\x1b[K\r\nand 2 mo…\x1b[K\x1b[J\x1b[2A\r",
            "{text:?}"
        );
    }

    #[test]
    fn lines_that_are_left_stay_above_the_cursor() {
        let mut block = TerminalBlock::default();
        drawn(&mut block, &["one", "two"], SIZE);
        let mut written = Vec::new();
        block.leave(&mut written).unwrap();
        assert_eq!(written, b"\r\n\r\n");
    }
}
