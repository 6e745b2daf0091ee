//! Pausing a transfer, and letting it go on. Knows nothing of what it moves.

use tokio::sync::watch;

/// Whether a transfer may move content. Everything that works on it asks here.
#[derive(Debug)]
pub(crate) struct Control {
    is_paused: watch::Sender<bool>,
    is_pausable: bool,
}

impl Control {
    pub(crate) fn new(is_pausable: bool) -> Self {
        Self { is_paused: watch::Sender::new(false), is_pausable }
    }

    /// Whether it can be paused at all.
    pub(crate) fn is_pausable(&self) -> bool {
        self.is_pausable
    }

    pub(crate) fn pause(&self) {
        self.is_paused.send_replace(true);
    }

    pub(crate) fn resume(&self) {
        self.is_paused.send_replace(false);
    }

    pub(crate) fn is_paused(&self) -> bool {
        *self.is_paused.borrow()
    }

    /// Resolves while it may not move content.
    pub(crate) async fn paused(&self) {
        self.is(true).await;
    }

    /// Resolves while it may.
    pub(crate) async fn running(&self) {
        self.is(false).await;
    }

    async fn is(&self, paused: bool) {
        // Fails only once the sender is gone, which is borrowed here.
        let _ = self.is_paused.subscribe().wait_for(|is_paused| *is_paused == paused).await;
    }
}
