//! Commands read line by line: at a terminal with a line editor, or from a pipe.

mod batch;
mod complete;
mod editor;
mod line;
mod terminal;
mod words;

pub use batch::run_batch;
pub use terminal::run_terminal;

/// The message after a reconnection.
const CONNECTED_AGAIN: &str = "Connected to the server again.";

/// The message when the connection is lost while nothing runs.
fn connection_lost(why: &str) -> String {
    format!("Connection lost: {why}. The next command connects again.")
}
