//! The lines of a file with commands: with their numbers, without comments and a byte order mark.

use std::io::{self, BufRead};

use crate::failure::Failure;

/// Some editors begin a file with it.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Begins a line that is a comment.
const COMMENT: char = '#';

/// A line that is no comment.
#[derive(Debug)]
pub(super) struct InputLine {
    /// Counted from 1.
    pub(super) number: u64,
    /// Its text, or why it has none.
    pub(super) text: Result<String, Failure>,
}

/// Reads lines one by one.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    number: u64,
}

impl<R> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, number: 0 }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<InputLine>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut bytes = Vec::new();
            match self.reader.read_until(b'\n', &mut bytes) {
                Ok(0) => return None,
                Ok(_) => self.number += 1,
                Err(error) => return Some(Err(error)),
            }
            let number = self.number;
            let line = match number {
                1 => bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes),
                _ => &bytes,
            };
            let text = match std::str::from_utf8(line) {
                Ok(text) if text.trim_start().starts_with(COMMENT) => continue,
                Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(_) => {
                    let hint = "save the commands as UTF-8";
                    Err(Failure::usage("it is not UTF-8", hint))
                }
            };
            return Some(Ok(InputLine { number, text }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_skipped_and_counted_and_a_line_that_is_not_text_is_an_error() {
        let input = b"\xef\xbb\xbflist\r\n# comment\n  # another\nget #1.txt\n\xff\n\nlast";
        let lines: Vec<_> = Lines::new(&input[..])
            .map(|line| line.unwrap())
            .map(|line| (line.number, line.text.ok()))
            .collect();
        let text = |text: &str| Some(text.to_owned());
        let expected = [
            (1, text("list")),
            (4, text("get #1.txt")),
            (5, None),
            (6, text("")),
            (7, text("last")),
        ];
        assert_eq!(lines, expected);
        let commented = Lines::new("\u{feff}# only\n".as_bytes()).next();
        assert!(commented.is_none());
    }
}
