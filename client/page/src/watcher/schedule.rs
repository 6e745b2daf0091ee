//! When something is done next, and not more often than four times a second.

use std::time::Duration;

use tokio::time::Instant;

/// The least time between two events of the same kind.
const INTERVAL: Duration = Duration::from_millis(250);

/// When something is done next, at most once in an [`INTERVAL`].
#[derive(Debug, Default)]
pub(super) struct Schedule {
    last: Option<Instant>,
    due: Option<Instant>,
    /// Whether the work runs now.
    pub(super) is_running: bool,
}

impl Schedule {
    /// Asks for it as soon as possible.
    pub(super) fn request(&mut self, now: Instant) {
        let earliest = self.last.map_or(now, |last| now.max(last + INTERVAL));
        self.due = Some(self.due.map_or(earliest, |due| due.min(earliest)));
    }

    /// Whether it is to be done now. It then counts as done.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let is_due = !self.is_running && self.due.is_some_and(|due| due <= now);
        if is_due {
            (self.last, self.due) = (Some(now), None);
        }
        is_due
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.due.filter(|_| !self.is_running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_done_more_often_than_four_times_a_second() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        assert!(!schedule.take(start));
        schedule.request(start);
        assert!(schedule.take(start));
        schedule.request(start);
        assert!(!schedule.take(start + INTERVAL - Duration::from_nanos(1)));
        assert_eq!(schedule.next(), Some(start + INTERVAL));
        schedule.is_running = true;
        assert_eq!(schedule.next(), None);
        assert!(!schedule.take(start + INTERVAL));
        schedule.is_running = false;
        assert!(schedule.take(start + INTERVAL));
    }
}
