//! The deadline and the pauses of attempts to reconnect.

use std::time::Duration;

use tokio::time::Instant;

/// The pause before the first attempt. Doubles with each attempt, up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// How long a transfer tries to reconnect: for `retry_for` from the first loss after its last progress.
#[derive(Debug)]
pub(crate) struct RetryDeadline {
    retry_for: Duration,
    deadline: Option<Instant>,
    pause: Duration,
}

impl RetryDeadline {
    /// For a transfer that has just started. Zero gives up at once.
    #[must_use]
    pub(crate) fn new(retry_for: Duration) -> Self {
        Self { retry_for, deadline: None, pause: FIRST_PAUSE }
    }

    /// Restarts the deadline after progress: it counts from the next loss.
    pub(crate) fn reset(&mut self) {
        (self.deadline, self.pause) = (None, FIRST_PAUSE);
    }

    /// Whether there was no attempt since the last progress.
    pub(super) fn is_first_attempt(&self) -> bool {
        self.pause == FIRST_PAUSE
    }

    /// When to give up; `None` if the transfer does not wait at all. The first call starts the time.
    pub(super) fn deadline(&mut self) -> Option<Instant> {
        if self.retry_for.is_zero() {
            return None;
        }
        Some(*self.deadline.get_or_insert_with(|| Instant::now() + self.retry_for))
    }

    /// The time of the next attempt; `None` if it would be after the deadline.
    pub(super) fn next_attempt(&mut self, deadline: Instant) -> Option<Instant> {
        let attempt = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(MAX_PAUSE);
        (attempt < deadline).then_some(attempt)
    }
}
