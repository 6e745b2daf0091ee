//! Passes Ctrl-C to the prompt, or to a command that ends in its own way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Passes Ctrl-C to those who wait for it. Without any, it ends the program.
#[derive(Debug, Clone, Default)]
pub struct Interrupts(Arc<InterruptState>);

#[derive(Debug, Default)]
struct InterruptState {
    is_enabled: AtomicBool,
    received: Notify,
}

impl Interrupts {
    /// Delivers an interrupt. Returns false if it is to end the program.
    #[must_use]
    pub fn deliver(&self) -> bool {
        self.0.received.notify_waiters();
        self.0.is_enabled.load(Ordering::Relaxed)
    }

    /// Later interrupts do not end the program.
    pub fn enable(&self) {
        self.0.is_enabled.store(true, Ordering::Relaxed);
    }

    /// Later interrupts end the program.
    pub fn disable(&self) {
        self.0.is_enabled.store(false, Ordering::Relaxed);
    }

    /// Waits for the next interrupt.
    pub async fn next(&self) {
        self.0.received.notified().await;
    }
}
