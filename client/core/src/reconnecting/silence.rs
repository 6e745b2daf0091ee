//! Decides by the counts of packets and frames whether a connection is silent, although the idle timeout is far. Reads no clock.

use std::time::Duration;

use tokio::time::Instant;

/// How long the server may leave packets unanswered, in addition to three round trips, while no content is transferred.
const IDLE_LIMIT: Duration = Duration::from_secs(3);

/// The same while content is transferred: answers are frequent then, and a person waits.
const CONTENT_LIMIT: Duration = Duration::from_millis(1500);

/// An answer that is later than this, in addition to three round trips, shows that packets were lost for a while.
const OUTAGE: Duration = Duration::from_millis(500);

/// How long content may take to flow again after such an answer, in addition to two round trips. The sender repeats lost
/// packets less and less often (RFC 9002, 6.2.1), and an answer to others, such as keep-alives, does not change that: after
/// an outage of four seconds, content may follow three seconds later.
const FLOW_LIMIT: Duration = Duration::from_millis(500);

/// The received packets that show that content flows again: a keep-alive that was sent several times has fewer answers.
const FLOW_PACKETS: u64 = 5;

/// The longest round trip that the limits allow for: each loss lengthens the measured one.
const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(1);

/// The state of a connection at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct PacketCounts {
    /// Datagrams that were received.
    pub(super) received: u64,
    /// Frames that were sent and must be acknowledged.
    pub(super) sent: u64,
    /// The round-trip time.
    pub(super) round_trip: Duration,
    /// Whether content is transferred, or about to be.
    pub(super) has_content: bool,
}

/// Whether the other side of a connection answers.
#[derive(Debug, Default)]
pub(super) struct Silence {
    received: u64,
    sent: u64,
    /// When the first packet was sent after the last received one.
    unanswered_since: Option<Instant>,
    /// After an outage: until when content must flow again, and the count of received packets at its end.
    flow_deadline: Option<(Instant, u64)>,
    /// The count of received packets when the connection became silent.
    silent_at: Option<u64>,
}

impl Silence {
    /// Takes the counts of packets. Returns whether the connection is silent.
    pub(super) fn update(&mut self, counts: PacketCounts, now: Instant) -> bool {
        let round_trip = counts.round_trip.min(LONGEST_ROUND_TRIP);
        if let Some(before) = self.silent_at {
            let needed = if counts.has_content { FLOW_PACKETS } else { 1 };
            if counts.received >= before + needed {
                *self = Self::default();
            }
        }
        if counts.received != self.received {
            let waited = self.unanswered_since.take().map(|since| now.duration_since(since));
            if counts.has_content && waited.is_some_and(|time| time >= OUTAGE + 3 * round_trip) {
                let deadline = now + FLOW_LIMIT + 2 * round_trip;
                self.flow_deadline = Some((deadline, counts.received));
            }
        } else if counts.sent != self.sent {
            self.unanswered_since.get_or_insert(now);
        }
        (self.received, self.sent) = (counts.received, counts.sent);
        let limit = if counts.has_content { CONTENT_LIMIT } else { IDLE_LIMIT } + 3 * round_trip;
        let is_unanswered =
            self.unanswered_since.is_some_and(|since| now.duration_since(since) >= limit);
        if is_unanswered || self.content_is_stuck(counts, now) {
            self.silent_at.get_or_insert(counts.received);
        }
        self.silent_at.is_some()
    }

    /// Whether content does not flow although packets are answered again.
    fn content_is_stuck(&mut self, counts: PacketCounts, now: Instant) -> bool {
        let Some((deadline, before)) = self.flow_deadline else { return false };
        let flows = counts.received >= before + FLOW_PACKETS - 1;
        if flows || !counts.has_content {
            self.flow_deadline = None;
            return false;
        }
        now >= deadline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection whose packets are counted at times in milliseconds.
    struct Counted {
        start: Instant,
        silence: Silence,
        has_content: bool,
    }

    impl Counted {
        fn new(has_content: bool) -> Self {
            Self { start: Instant::now(), silence: Silence::default(), has_content }
        }

        fn at(&mut self, milliseconds: u64, received: u64, sent: u64) -> bool {
            let round_trip = Duration::from_millis(100);
            let counts = PacketCounts { received, sent, round_trip, has_content: self.has_content };
            self.silence.update(counts, self.start + Duration::from_millis(milliseconds))
        }
    }

    #[test]
    fn an_idle_connection_is_silent_if_nothing_answers_a_packet() {
        let mut idle = Counted::new(false);
        assert!(!idle.at(0, 5, 5));
        // Nothing was sent.
        assert!(!idle.at(20_000, 5, 5));
        assert!(!idle.at(20_100, 5, 6));
        assert!(!idle.at(23_300, 5, 8));
        assert!(idle.at(23_400, 5, 8));
        // One answer is enough.
        assert!(!idle.at(23_500, 6, 8));
        assert!(!idle.at(23_600, 6, 9));
        assert!(idle.at(26_900, 6, 9));
    }

    #[test]
    fn a_transfer_is_silent_earlier_and_until_content_flows() {
        let mut busy = Counted::new(true);
        assert!(!busy.at(0, 500, 50));
        assert!(!busy.at(100, 500, 51));
        assert!(!busy.at(1_800, 500, 52));
        assert!(busy.at(1_900, 500, 52));
        assert!(busy.at(2_000, 504, 53));
        assert!(!busy.at(2_100, 505, 54));
        assert!(!busy.at(2_200, 520, 55));
    }

    #[test]
    fn a_transfer_is_silent_if_only_a_keep_alive_is_answered_after_an_outage() {
        let mut busy = Counted::new(true);
        assert!(!busy.at(0, 500, 50));
        assert!(!busy.at(100, 500, 51));
        // Late, but in time.
        assert!(!busy.at(1_500, 502, 53));
        assert!(!busy.at(2_100, 503, 53));
        assert!(busy.at(2_200, 503, 53));
    }

    #[test]
    fn a_transfer_whose_content_flows_after_an_outage_is_not_silent() {
        let mut busy = Counted::new(true);
        assert!(!busy.at(0, 500, 50));
        assert!(!busy.at(100, 500, 51));
        assert!(!busy.at(1_500, 502, 53));
        assert!(!busy.at(2_000, 540, 60));
        assert!(!busy.at(4_000, 900, 100));
    }

    #[test]
    fn a_server_that_prepares_content_and_answers_is_not_silent() {
        let mut busy = Counted::new(true);
        let mut received = 500;
        for second in 0..60 {
            let is_keep_alive = second % 3 == 0;
            let sent = 50 + second / 3;
            assert!(!busy.at(second * 1000, received, sent));
            received += u64::from(is_keep_alive);
            assert!(!busy.at(second * 1000 + 200, received, sent));
        }
    }
}
