//! Lines instead of arguments: at a terminal with a line editor, or out of a pipe.

mod batch;
mod complete;
mod editor;
mod line;
mod terminal;
mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

pub use batch::batch;
pub use terminal::terminal;

/// Ctrl-C on its way to the prompt, once there is one: it ends a command, not the program.
#[derive(Debug, Clone, Default)]
pub struct Interrupts(Arc<PromptShared>);

#[derive(Debug, Default)]
struct PromptShared {
    wanted: AtomicBool,
    came: Notify,
}

impl Interrupts {
    /// Hands an interrupt over; whether somebody wanted it.
    #[must_use]
    pub fn take(&self) -> bool {
        self.0.came.notify_waiters();
        self.0.wanted.load(Ordering::Relaxed)
    }

    /// From now on interrupts come here.
    fn want(&self) {
        self.0.wanted.store(true, Ordering::Relaxed);
    }

    /// The next interrupt from now on.
    async fn next(&self) {
        self.0.came.notified().await;
    }
}

/// What is said when there is a connection again.
const CONNECTED_AGAIN: &str = "Connected to the server again.";

/// What is said when the connection is gone while nothing runs.
fn connection_lost(why: &str) -> String {
    format!("Connection lost: {why}. The next command connects again.")
}
