//! How long, and how often, a lost server is dialled again.

use std::time::Duration;

use tokio::time::Instant;

/// How long to wait before a server is dialled again; then twice that, up to the other.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a transfer waits for a lost server: up to its patience, counted from its last progress.
#[derive(Debug)]
pub(crate) struct RetryDeadline {
    patience: Duration,
    deadline: Option<Instant>,
    pause: Duration,
}

impl RetryDeadline {
    /// For a transfer that has just begun. No patience at all never waits.
    #[must_use]
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience, deadline: None, pause: PAUSE }
    }

    /// There was progress: the time begins anew with the next loss.
    pub(crate) fn progress(&mut self) {
        (self.deadline, self.pause) = (None, PAUSE);
    }

    /// Whether nothing was tried yet since the last progress.
    pub(super) fn is_fresh(&self) -> bool {
        self.pause == PAUSE
    }

    /// When to give up; `None` where nothing is waited for at all. The time begins with the first call.
    pub(super) fn deadline(&mut self) -> Option<Instant> {
        if self.patience.is_zero() {
            return None;
        }
        Some(*self.deadline.get_or_insert_with(|| Instant::now() + self.patience))
    }

    /// When to try next, if in time.
    pub(super) fn next(&mut self, deadline: Instant) -> Option<Instant> {
        let moment = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        (moment < deadline).then_some(moment)
    }
}
