//! Commands read line by line: at a terminal with a line editor, or from a pipe.

mod batch;
mod complete;
mod editor;
mod line;
mod local_words;
mod terminal;
mod typo;
mod words;

pub use batch::{BatchOptions, run_batch};
pub use terminal::run_terminal;

use quiver_transfer::blocking;

use self::line::ParsedLine;
use crate::failure::Failure;

/// The message after a reconnection.
const CONNECTED_AGAIN: &str = "Connected to the server again.";

/// The message when the connection is lost while nothing runs.
fn connection_lost(why: &str) -> String {
    format!("Connection lost: {why}. The next command connects again.")
}

/// Parses a line on a blocking thread, because a pattern may search many local folders.
async fn parse_line(line: String) -> Result<ParsedLine, Failure> {
    match blocking::run(move || ParsedLine::parse(&line)).await {
        Ok(parsed) => parsed,
        // The runtime is shutting down.
        Err(_) => Err(Failure::Interrupted(None)),
    }
}
