//! Commands read line by line: at a terminal with a line editor, or from a pipe.

mod batch;
mod complete;
mod editor;
mod line;
mod terminal;
mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

pub use batch::run_batch;
pub use terminal::run_terminal;

/// Passes Ctrl-C to the prompt. Once the prompt is shown, Ctrl-C cancels a command and does not end the program.
#[derive(Debug, Clone, Default)]
pub struct Interrupts(Arc<InterruptState>);

#[derive(Debug, Default)]
struct InterruptState {
    is_enabled: AtomicBool,
    received: Notify,
}

impl Interrupts {
    /// Delivers an interrupt to the prompt. Returns false if the prompt is not shown yet.
    #[must_use]
    pub fn deliver(&self) -> bool {
        self.0.received.notify_waiters();
        self.0.is_enabled.load(Ordering::Relaxed)
    }

    /// Lets the prompt handle all later interrupts.
    fn enable(&self) {
        self.0.is_enabled.store(true, Ordering::Relaxed);
    }

    /// Waits for the next interrupt.
    async fn next(&self) {
        self.0.received.notified().await;
    }
}

/// The message after a reconnection.
const CONNECTED_AGAIN: &str = "Connected to the server again.";

/// The message when the connection is lost while nothing runs.
fn connection_lost(why: &str) -> String {
    format!("Connection lost: {why}. The next command connects again.")
}
