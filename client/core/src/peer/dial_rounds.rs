//! Which rounds of direct dials may run: each round of an introduction once, however often the other client asks, so
//! that a client cannot let another one send any number of packets to a third machine. Dials nothing.

use std::time::Duration;

use quiver_protocol::IntroductionId;
use tokio::time::Instant;

/// Rounds of attempts with one introduction.
const ROUNDS: u32 = 3;

/// The shortest time between two introductions for direct dials that the other client asks for. Clients pause for
/// five seconds, but requests may be delayed on their way.
const MIN_INTERVAL: Duration = Duration::from_secs(4);

/// The rounds of the newest introduction of a link.
#[derive(Debug)]
pub(super) struct DialRounds {
    introduction: IntroductionId,
    /// The next round; all rounds have run if it is [`ROUNDS`].
    next: u32,
    /// When this introduction became the newest.
    since: Instant,
}

impl DialRounds {
    /// No round of `introduction` has run yet.
    pub(super) fn new(introduction: IntroductionId, now: Instant) -> Self {
        Self { introduction, next: 0, since: now }
    }

    /// The next round, with its introduction; `None` once all have run.
    pub(super) fn next(&self) -> Option<(IntroductionId, u32)> {
        (self.next < ROUNDS).then_some((self.introduction, self.next))
    }

    /// Starts a round. Returns `false` if it may not run: this one or a later one has run.
    pub(super) fn start(&mut self, introduction: IntroductionId, round: u32) -> bool {
        let may_run = self.introduction == introduction && (self.next..ROUNDS).contains(&round);
        if may_run {
            self.next = round + 1;
        }
        may_run
    }

    /// Gives up the rounds of an introduction that have not run.
    pub(super) fn skip(&mut self, introduction: IntroductionId) {
        if self.introduction == introduction {
            self.next = ROUNDS;
        }
    }

    /// Whether the other client may have another introduction now.
    pub(super) fn may_be_replaced(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= MIN_INTERVAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: IntroductionId = IntroductionId([1; 16]);
    const OTHER: IntroductionId = IntroductionId([2; 16]);

    #[test]
    fn each_round_of_the_newest_introduction_runs_once() {
        let mut rounds = DialRounds::new(FIRST, Instant::now());
        assert_eq!(rounds.next(), Some((FIRST, 0)));
        assert!(!rounds.start(OTHER, 0));
        assert!(rounds.start(FIRST, 0));
        assert!(!rounds.start(FIRST, 0));
        assert_eq!(rounds.next(), Some((FIRST, 1)));
        assert!(rounds.start(FIRST, 2));
        assert!(!rounds.start(FIRST, 1) && !rounds.start(FIRST, 3));
        assert_eq!(rounds.next(), None);
    }

    #[test]
    fn skipped_rounds_do_not_run() {
        let mut rounds = DialRounds::new(FIRST, Instant::now());
        rounds.skip(OTHER);
        assert_eq!(rounds.next(), Some((FIRST, 0)));
        rounds.skip(FIRST);
        assert!(!rounds.start(FIRST, 0));
        assert_eq!(rounds.next(), None);
    }

    #[test]
    fn an_introduction_is_replaced_after_a_while() {
        let start = Instant::now();
        let rounds = DialRounds::new(FIRST, start);
        assert!(!rounds.may_be_replaced(start));
        assert!(rounds.may_be_replaced(start + MIN_INTERVAL));
    }
}
