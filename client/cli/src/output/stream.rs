//! Where texts go: standard output or standard error.

use std::io::{self, Write as _};

use super::style;
use crate::ui_mode::UiMode;
use crate::unix::terminal_width;

/// A stream of the process.
#[derive(Debug, Clone, Copy)]
pub(super) enum OutputStream {
    /// Standard output.
    Data,
    /// Standard error.
    Messages,
}

impl OutputStream {
    /// Where messages go.
    pub(super) fn of_messages(mode: UiMode) -> Self {
        match mode {
            UiMode::Prompt => Self::Data,
            UiMode::OneShot | UiMode::Batch => Self::Messages,
        }
    }

    /// The width of its terminal; `None` if it is none.
    pub(super) fn width(self) -> Option<usize> {
        match self {
            Self::Data => terminal_width(io::stdout()),
            Self::Messages => terminal_width(io::stderr()),
        }
    }

    pub(super) fn has_colours(self) -> bool {
        match self {
            Self::Data => style::has_colours(&io::stdout()),
            Self::Messages => style::has_colours(&io::stderr()),
        }
    }

    pub(super) fn write(self, text: &str) -> io::Result<()> {
        match self {
            Self::Data => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text.as_bytes())?;
                stdout.flush()
            }
            Self::Messages => io::stderr().lock().write_all(text.as_bytes()),
        }
    }
}
