//! The colours of what people read, as escape sequences in texts: around escaped text only. A stream that shows no
//! colours removes them. Widths are measured without them.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, IsTerminal};

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use clap::builder::Styles;
use clap::builder::styling::{AnsiColor, Style};

use super::terminal_block::can_move_cursor;

/// The word before an error.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// The word before a warning.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// The word before a hint.
pub const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// The name of a person, or of the server that speaks.
pub const NAME: Style = AnsiColor::Cyan.on_default();
/// The name of the person at this prompt.
pub const OWN_NAME: Style = AnsiColor::Green.on_default().bold();
/// A folder in a list.
pub const FOLDER: Style = AnsiColor::Blue.on_default().bold();
/// The share and the bar of a running transfer.
pub const PROGRESS: Style = AnsiColor::Green.on_default();

/// The styles of clap's help and usage errors.
pub const HELP: Styles = Styles::styled()
    .header(Style::new().bold().underline())
    .usage(Style::new().bold().underline())
    .literal(NAME)
    .error(ERROR)
    .valid(HINT)
    .invalid(WARNING);

/// A text in a style. The text must be escaped.
#[must_use]
pub fn painted(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// `error: text`, with the word in colour.
#[must_use]
pub fn error(text: impl Display) -> String {
    format!("{} {text}", painted(ERROR, "error:"))
}

/// `hint: text`, with the word in colour.
#[must_use]
pub fn hint(text: impl Display) -> String {
    format!("{} {text}", painted(HINT, "hint:"))
}

/// `warning: text`, with the word in colour.
#[must_use]
pub fn warning(text: impl Display) -> String {
    format!("{} {text}", painted(WARNING, "warning:"))
}

/// `note: text`, with the word in colour.
#[must_use]
pub fn note(text: impl Display) -> String {
    format!("{} {text}", painted(HINT, "note:"))
}

/// A text without its colours.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    // Most data has none.
    if text.contains('\x1b') {
        anstream::adapter::strip_str(text).to_string().into()
    } else {
        text.into()
    }
}

/// The columns of a text at a terminal.
#[must_use]
pub fn width(text: &str) -> usize {
    textwrap::core::display_width(text)
}

/// Whether a stream shows colours: a terminal that has them, and a person who wants them.
pub(super) fn has_colours(stream: &(impl IsTerminal + RawStream)) -> bool {
    IsTerminal::is_terminal(stream)
        && can_move_cursor()
        && AutoStream::choice(stream) != ColorChoice::Never
}

/// Whether standard output shows colours.
#[must_use]
pub fn has_stdout_colours() -> bool {
    has_colours(&io::stdout())
}

/// A text as a stream shows it.
pub(super) fn shown(text: String, has_colours: bool) -> String {
    if has_colours {
        return text;
    }
    match plain(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(plain) => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_without_colours_shows_the_same_text() {
        let text = format!("{}\n{} has joined", error("no"), painted(NAME, "Ron"));
        assert_ne!(text, plain(&text));
        assert_eq!(shown(text.clone(), false), "error: no\nRon has joined");
        assert_eq!(shown(text.clone(), true), text);
        assert_eq!(width(&painted(FOLDER, "写真/")), 5);
    }
}
