//! Pausing, resuming and cancelling a transfer. Knows nothing of its content.

use tokio::sync::watch;

/// Whether a transfer may run. All of its tasks wait on this.
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

    /// Whether the transfer can be paused.
    pub(crate) fn is_pausable(&self) -> bool {
        self.is_pausable
    }

    pub(crate) fn set_paused(&self, is_paused: bool) {
        self.is_paused.send_replace(is_paused);
    }

    /// Cancels the transfer.
    pub(crate) fn cancel(&self) {
        self.is_cancelled.send_replace(true);
    }

    /// Waits until the transfer is cancelled.
    pub(crate) async fn wait_until_cancelled(&self) {
        // Cannot fail: see `wait_for`.
        let _ = self.is_cancelled.subscribe().wait_for(|is_cancelled| *is_cancelled).await;
    }

    pub(crate) fn is_paused(&self) -> bool {
        *self.is_paused.borrow()
    }

    /// Waits until the transfer is paused.
    pub(crate) async fn wait_until_paused(&self) {
        self.wait_for(true).await;
    }

    /// Waits until the transfer is not paused.
    pub(crate) async fn wait_until_running(&self) {
        self.wait_for(false).await;
    }

    async fn wait_for(&self, paused: bool) {
        // Fails only after the sender is dropped, and `self` owns it.
        let _ = self.is_paused.subscribe().wait_for(|is_paused| *is_paused == paused).await;
    }
}
