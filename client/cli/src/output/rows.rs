//! Buffers rows of data and prints them in order.

use super::{Output, style};
use crate::failure::Failure;
use crate::ui_mode::UiMode;

/// Rows are printed once this many bytes are buffered.
pub const PRINT_SIZE: usize = 16 * 1024;

/// Writes rows to the output through a buffer. Rows may be lost without [`finish`](Self::finish).
#[derive(Debug)]
pub struct RowWriter<'a> {
    output: &'a Output,
    buffer: String,
}

impl<'a> RowWriter<'a> {
    /// For the rows of the server's reply. At the prompt, `Server: ` precedes the first one.
    #[must_use]
    pub fn reply(output: &'a Output) -> Self {
        let prefix = match output.mode() {
            UiMode::Prompt => format!("{} ", style::painted(style::NAME, "Server:")),
            UiMode::OneShot | UiMode::Batch => String::new(),
        };
        Self { output, buffer: prefix }
    }

    /// For the rows of the server's reply, or for JSON objects.
    #[must_use]
    pub fn new(output: &'a Output, json: bool) -> Self {
        if json { Self::plain(output) } else { Self::reply(output) }
    }

    /// For rows without a prefix.
    #[must_use]
    pub fn plain(output: &'a Output) -> Self {
        Self { output, buffer: String::new() }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub async fn push(&mut self, row: &str) -> Result<(), Failure> {
        self.buffer.push_str(row);
        self.buffer.push('\n');
        if self.buffer.len() >= PRINT_SIZE { self.print().await } else { Ok(()) }
    }

    /// Prints the buffered rows.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub async fn finish(mut self) -> Result<(), Failure> {
        if self.buffer.ends_with('\n') { self.print().await } else { Ok(()) }
    }

    async fn print(&mut self) -> Result<(), Failure> {
        self.output.data(std::mem::take(&mut self.buffer)).await
    }
}
