//! The deadline and the pauses of attempts to reconnect. Time in which the process was stopped does not count.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The pause before the first attempt. Doubles with each attempt, up to the longest pause.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// How often the clock is read during an attempt.
const TICK: Duration = Duration::from_secs(1);

/// A clock that is late by more than this shows that the process was stopped, as by Ctrl-Z. A busy machine is late by less.
const STOPPED: Duration = Duration::from_secs(3);

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

    /// The time that is left; `None` if the transfer does not wait at all. The first call starts the time.
    pub(super) fn start(&mut self) -> Option<Duration> {
        if self.retry_for.is_zero() {
            return None;
        }
        let now = Instant::now();
        let deadline = *self.deadline.get_or_insert_with(|| now + self.retry_for);
        Some(deadline.saturating_duration_since(now))
    }

    /// The pause before the next attempt, at most `longest`; `None` if that would be after the deadline.
    pub(super) fn next_pause(&mut self, longest: Duration) -> Option<Duration> {
        let pause = self.pause.min(longest);
        self.pause = (self.pause * 2).min(longest);
        self.deadline.is_some_and(|deadline| Instant::now() + pause < deadline).then_some(pause)
    }

    /// Waits for `work`; `None` if the deadline passes first.
    pub(super) async fn limit<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(work);
        loop {
            let tick = Instant::now() + TICK;
            let done = tokio::select! {
                biased;
                done = &mut work => Some(done),
                () = sleep_until(self.deadline.map_or(tick, |deadline| deadline.min(tick))) => None,
            };
            let now = Instant::now();
            self.add_stopped_time(now.saturating_duration_since(tick));
            if done.is_some() || self.deadline.is_some_and(|deadline| deadline <= now) {
                return done;
            }
        }
    }

    fn add_stopped_time(&mut self, late: Duration) {
        if let Some(deadline) = self.deadline.as_mut().filter(|_| late > STOPPED) {
            *deadline += late;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::{advance, sleep};

    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_the_longest_and_end_before_the_deadline() {
        let mut deadline = RetryDeadline::new(seconds(60));
        assert_eq!(deadline.start(), Some(seconds(60)));
        let pauses = [(); 4].map(|()| deadline.next_pause(seconds(1)).unwrap().as_millis());
        assert_eq!(pauses, [500, 1000, 1000, 1000]);
        sleep(seconds(59)).await;
        assert_eq!(deadline.next_pause(seconds(1)), None);
        deadline.reset();
        assert!(deadline.is_first_attempt());
    }

    #[tokio::test(start_paused = true)]
    async fn work_ends_at_the_deadline() {
        let mut deadline = RetryDeadline::new(seconds(60));
        deadline.start();
        assert_eq!(deadline.limit(ready(7)).await, Some(7));
        let start = Instant::now();
        assert_eq!(deadline.limit(pending::<()>()).await, None);
        assert_eq!(start.elapsed(), seconds(60));
        assert_eq!(RetryDeadline::new(Duration::ZERO).start(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_the_process_was_stopped_does_not_count() {
        let mut deadline = RetryDeadline::new(seconds(60));
        deadline.start();
        let start = Instant::now();
        // Nothing of this process runs, but its clock does.
        let stopped = async {
            sleep(seconds(10)).await;
            advance(seconds(300)).await;
            pending::<()>().await;
        };
        assert_eq!(deadline.limit(stopped).await, None);
        let elapsed = start.elapsed();
        assert!((seconds(358)..=seconds(361)).contains(&elapsed), "{elapsed:?}");
    }
}
