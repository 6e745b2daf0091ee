//! How the program is used: one command, a script, or a person at the prompt.

/// How the program is used. Decides what may be asked, and how messages are worded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UiMode {
    /// One command, given as arguments.
    OneShot,
    /// Commands read from a pipe or a file.
    Batch,
    /// A person who types commands at a terminal.
    Prompt,
}
