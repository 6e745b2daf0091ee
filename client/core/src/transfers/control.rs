//! Pausing a transfer, letting it go on, and cancelling it. Knows nothing of what it moves.

use tokio::sync::watch;

/// Whether a transfer may move content. Everything that works on it asks here.
#[derive(Debug)]
pub(crate) struct TransferControl {
    is_paused: watch::Sender<bool>,
    is_cancelled: watch::Sender<bool>,
    is_pausable: bool,
}

impl TransferControl {
    pub(crate) fn new(is_pausable: bool) -> Self {
        let (is_paused, is_cancelled) = (watch::Sender::new(false), watch::Sender::new(false));
        Self { is_paused, is_cancelled, is_pausable }
    }

    /// Whether it can be paused at all.
    pub(crate) fn is_pausable(&self) -> bool {
        self.is_pausable
    }

    pub(crate) fn set_paused(&self, is_paused: bool) {
        self.is_paused.send_replace(is_paused);
    }

    /// Its work is given up.
    pub(crate) fn cancel(&self) {
        self.is_cancelled.send_replace(true);
    }

    /// Resolves once it was cancelled.
    pub(crate) async fn cancelled(&self) {
        // As below.
        let _ = self.is_cancelled.subscribe().wait_for(|is_cancelled| *is_cancelled).await;
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
