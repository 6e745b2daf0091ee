//! Data that comes row by row: gathered a little, printed in order.

use super::Output;
use crate::failure::Failure;
use crate::ui_mode::UiMode;

/// Rows wait until there are this many bytes of them.
pub const GATHER: usize = 16 * 1024;

/// Rows on their way out. What is not [finished](Self::finish) may not be printed.
#[derive(Debug)]
pub struct RowWriter<'a> {
    output: &'a Output,
    gathered: String,
}

impl<'a> RowWriter<'a> {
    /// The rows of an answer. At the prompt the first one says who answers.
    #[must_use]
    pub fn of_the_server(output: &'a Output) -> Self {
        let speaker = if output.mode() == UiMode::Prompt { "Server: " } else { "" };
        Self { output, gathered: speaker.to_owned() }
    }

    /// The rows of an answer, or objects for a program.
    #[must_use]
    pub fn of(output: &'a Output, json: bool) -> Self {
        if json { Self::bare(output) } else { Self::of_the_server(output) }
    }

    /// Rows for a program: nothing but themselves.
    #[must_use]
    pub fn bare(output: &'a Output) -> Self {
        Self { output, gathered: String::new() }
    }

    /// One more row.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub async fn push(&mut self, row: &str) -> Result<(), Failure> {
        self.gathered.push_str(row);
        self.gathered.push('\n');
        if self.gathered.len() >= GATHER { self.print().await } else { Ok(()) }
    }

    /// Prints what is left.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub async fn finish(mut self) -> Result<(), Failure> {
        if self.gathered.ends_with('\n') { self.print().await } else { Ok(()) }
    }

    async fn print(&mut self) -> Result<(), Failure> {
        self.output.data(std::mem::take(&mut self.gathered)).await
    }
}
