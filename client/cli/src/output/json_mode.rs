//! Whether messages are JSON objects: known before the first one is printed, and until after the last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the command that runs was asked for JSON. Clones share it, because piped commands have a flag each.
#[derive(Debug, Clone, Default)]
pub struct JsonMode(Arc<AtomicBool>);

impl JsonMode {
    /// The mode of a command line.
    #[must_use]
    pub fn new(is_on: bool) -> Self {
        Self(Arc::new(AtomicBool::new(is_on)))
    }

    /// Whether messages are JSON objects.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Changes it for the next command.
    pub fn set(&self, is_on: bool) {
        self.0.store(is_on, Ordering::Relaxed);
    }
}
