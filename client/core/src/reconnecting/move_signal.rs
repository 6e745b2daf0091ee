//! Tells the running downloads of a session to move to a better connection. Knows no connections.

use std::future::pending;

use tokio::sync::watch;

/// Is given when a better connection to the same peer exists. By default it is never given: a server has one
/// connection for each session.
#[derive(Debug, Clone, Default)]
pub(crate) struct MoveSignal(Option<watch::Receiver<bool>>);

impl MoveSignal {
    /// Resolves when the signal is given, at once if it was given before.
    pub(crate) async fn wait(&self) {
        let Some(mut is_given) = self.0.clone() else { return pending().await };
        if is_given.wait_for(|is_given| *is_given).await.is_err() {
            // Its sender was dropped, so it will never be given.
            pending().await
        }
    }
}

/// A signal that is given once the value is true.
impl From<watch::Receiver<bool>> for MoveSignal {
    fn from(is_given: watch::Receiver<bool>) -> Self {
        Self(Some(is_given))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, timeout};

    use super::*;

    /// Passes at once: the clock of these tests is paused.
    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn a_move_signal_is_given_when_its_value_becomes_true() {
        let (is_given, receiver) = watch::channel(false);
        let signal = MoveSignal::from(receiver);
        assert!(timeout(LONG, signal.wait()).await.is_err());
        is_given.send_replace(true);
        signal.wait().await;
        drop(is_given);
        signal.wait().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_move_signal_without_a_sender_is_never_given() {
        let (is_given, receiver) = watch::channel(false);
        drop(is_given);
        for signal in [MoveSignal::default(), receiver.into()] {
            assert!(timeout(LONG, signal.wait()).await.is_err());
        }
    }
}
