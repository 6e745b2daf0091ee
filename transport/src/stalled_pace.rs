//! The pace of content that the other side does not read. The other side then grants credit in small
//! steps, which are meant for control traffic, so content takes little of each. No streams in here.

use std::time::Duration;

use tokio::time::sleep;

use crate::windows::RESERVE_STEP;

/// A write that waited at least this long, and was then granted little, has waited for an application
/// that does not read.
const STALL: Duration = Duration::from_millis(100);

/// A write that takes at most so many bytes was granted little: a step of the reserve, and what was
/// not announced before. What an application reads is announced in larger parts.
const LITTLE: usize = 4 * 1024;

/// Content takes so many bytes at once while the other side does not read.
const PROBE: u64 = 512;

/// The pause between two of these probes.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// So many probes in turn take more than a step of the reserve has: the other side reads again.
const PROBES: u32 = (RESERVE_STEP / PROBE) as u32 + 1;

const _: () = assert!(LITTLE as u64 == 2 * RESERVE_STEP && PROBE == RESERVE_STEP / 4);

/// Decides how much content may be written next.
#[derive(Debug)]
pub(crate) struct StalledPace {
    /// How often this side had reported that it was blocked.
    blocked_reports: u64,
    /// The probes that remain until content has its full pace again.
    remaining_probes: u32,
}

impl StalledPace {
    /// The pace of a stream that starts now, when this side has reported so often that it is blocked.
    pub(crate) fn new(blocked_reports: u64) -> Self {
        Self { blocked_reports, remaining_probes: 0 }
    }

    /// The bytes that may be written now, of `length`. Waits between probes.
    pub(crate) async fn next_length(&self, length: usize) -> usize {
        if self.remaining_probes == 0 {
            return length;
        }
        sleep(PROBE_INTERVAL).await;
        length.min(PROBE as usize)
    }

    /// Whether [`note_write`](Self::note_write) needs to know of a write that took so long.
    pub(crate) fn needs_reports(&self, took: Duration) -> bool {
        self.remaining_probes > 0 || took >= STALL
    }

    /// Notes how long a write took, how much was written, and how often this side has reported by
    /// now that the other side's receive window blocks it (DATA_BLOCKED; RFC 9000, 19.12).
    pub(crate) fn note_write(&mut self, took: Duration, written: usize, blocked_reports: u64) {
        let was_blocked = blocked_reports > self.blocked_reports;
        self.blocked_reports = blocked_reports;
        self.remaining_probes = match self.remaining_probes {
            0 if was_blocked && took >= STALL && written <= LITTLE => PROBES,
            0 => 0,
            // Control traffic and content have used up the last step.
            _ if was_blocked => PROBES,
            remaining => remaining - 1,
        };
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const SHORT: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn content_that_is_not_read_takes_little_at_a_time() {
        let mut pace = StalledPace::new(0);
        assert_eq!(pace.next_length(1 << 20).await, 1 << 20);
        pace.note_write(STALL, 2048, 1);
        let start = Instant::now();
        assert_eq!(pace.next_length(1 << 20).await, 512);
        assert_eq!(pace.next_length(100).await, 100);
        assert_eq!(start.elapsed(), 2 * PROBE_INTERVAL);
    }

    #[tokio::test(start_paused = true)]
    async fn content_has_its_full_pace_once_it_was_granted_more_than_a_step() {
        let mut pace = StalledPace::new(0);
        pace.note_write(STALL, 2048, 1);
        for _ in 0..4 {
            assert_eq!(pace.next_length(1 << 20).await, 512);
            pace.note_write(SHORT, 512, 1);
        }
        // The step is used up.
        pace.note_write(SHORT, 512, 2);
        for _ in 0..5 {
            assert_eq!(pace.next_length(1 << 20).await, 512);
            pace.note_write(SHORT, 512, 2);
        }
        assert_eq!(pace.next_length(1 << 20).await, 1 << 20);
    }

    #[tokio::test(start_paused = true)]
    async fn an_application_that_reads_does_not_slow_content_down() {
        let mut pace = StalledPace::new(0);
        pace.note_write(10 * STALL, 256 * 1024, 1);
        assert_eq!(pace.next_length(1 << 20).await, 1 << 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_path_is_not_taken_for_an_application_that_does_not_read() {
        for earlier_reports in [0, 1] {
            let mut pace = StalledPace::new(earlier_reports);
            pace.note_write(10 * STALL, 1452, earlier_reports);
            assert_eq!(pace.next_length(1 << 20).await, 1 << 20);
        }
    }
}
