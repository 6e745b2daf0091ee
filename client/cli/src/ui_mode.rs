//! Who is on the other side of this program.

/// Who is on the other side of this program: decides what is asked, and how things are said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UiMode {
    /// One command, then the end.
    OneShot,
    /// Commands out of a pipe or a file.
    Batch,
    /// A person at a terminal.
    Prompt,
}
