//! Samples of the rate at which the path delivers, and of its round-trip time.
//!
//! Source: draft-cheng-iccrg-delivery-rate-estimation. A sample is the bytes that were delivered
//! while one packet was on its way, divided by the longer of two times: that in which they were
//! sent and that in which they were acknowledged. So neither a burst of packets nor a burst of
//! acknowledgements makes the path look faster than it is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::estimate;

/// So many sendings are remembered at most, several round trips' worth: without a bound, a peer that acknowledges nothing
/// could use memory for each packet.
const MAX_RECORDS: usize = 4096;

/// What one batch of acknowledgements tells of the path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    /// Delivered bytes per second; `None` if the time was too short to divide by.
    pub(super) rate: Option<f64>,
    /// From the sending of the newest acknowledged packet until now.
    pub(super) round_trip: Duration,
    /// Delivered bytes when the newest acknowledged packet was sent.
    pub(super) delivered_at_send: u64,
    /// Whether the application had too little to send when that packet was sent. The rate is then a
    /// lower bound.
    pub(super) is_app_limited: bool,
}

/// The state of the connection when packets were sent.
#[derive(Debug, Clone, Copy)]
struct SentRecord {
    sent: Instant,
    /// Start of the interval in which the packets up to this one were sent.
    interval_start: Instant,
    delivered: u64,
    delivered_at: Instant,
    is_app_limited: bool,
}

/// Counts delivered bytes and remembers the state at each sending.
#[derive(Debug, Clone)]
pub(super) struct DeliveryRate {
    /// Sorted by `sent`. A record is of the first of the packets that share it.
    records: VecDeque<SentRecord>,
    delivered: u64,
    delivered_at: Instant,
    interval_start: Instant,
    /// Packets that are sent before this many bytes are delivered are limited by the application.
    app_limited_until: Option<u64>,
    /// The newest packet of the present batch of acknowledgements, with the time when it was sent.
    newest: Option<(Instant, SentRecord)>,
}

impl DeliveryRate {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            records: VecDeque::new(),
            delivered: 0,
            delivered_at: now,
            interval_start: now,
            app_limited_until: None,
            newest: None,
        }
    }

    /// Bytes that were acknowledged since the start of the connection.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Records that packets were sent. `is_idle`: nothing was in flight before them. `resolution`:
    /// packets that are sent within this time share a record.
    pub(super) fn on_sent(&mut self, now: Instant, is_idle: bool, resolution: Duration) {
        if is_idle {
            self.interval_start = now;
            self.delivered_at = now;
        }
        if self.records.back().is_none_or(|last| is_idle || last.sent + resolution < now) {
            if self.records.len() == MAX_RECORDS {
                self.records.pop_front();
            }
            self.records.push_back(SentRecord {
                sent: now,
                interval_start: self.interval_start,
                delivered: self.delivered,
                delivered_at: self.delivered_at,
                is_app_limited: self.app_limited_until.is_some_and(|until| self.delivered <= until),
            });
        }
    }

    /// Records that one packet was acknowledged.
    pub(super) fn on_acked(&mut self, now: Instant, sent: Instant, bytes: u64) {
        self.delivered += bytes;
        self.delivered_at = now;
        let after = self.records.partition_point(|record| record.sent <= sent);
        let Some(record) = after.checked_sub(1).and_then(|index| self.records.get(index)) else {
            return;
        };
        if self.newest.is_none_or(|(newest, _)| newest < sent) {
            self.newest = Some((sent, *record));
        }
    }

    /// Ends a batch of acknowledgements. `shortest` is the shortest time that a rate is computed
    /// over, the lowest round-trip time so far, so that the sample with a new lowest one has none.
    /// `None` without acknowledged packets.
    pub(super) fn end_batch(&mut self, now: Instant, shortest: Option<Duration>) -> Option<Sample> {
        let (sent, newest) = self.newest.take()?;
        let send_time = newest.sent.saturating_duration_since(newest.interval_start);
        let ack_time = self.delivered_at.saturating_duration_since(newest.delivered_at);
        self.interval_start = newest.sent;
        let interval = send_time.max(ack_time);
        let round_trip = now.saturating_duration_since(sent);
        let is_long_enough = !interval.is_zero() && interval >= shortest.unwrap_or(round_trip);
        let rate = is_long_enough
            .then(|| estimate(self.delivered - newest.delivered) / interval.as_secs_f64());
        self.forget_before(newest.sent, round_trip);
        Some(Sample {
            rate,
            round_trip,
            delivered_at_send: newest.delivered,
            is_app_limited: newest.is_app_limited,
        })
    }

    /// Marks the bytes in flight, and those that follow until they are delivered, as limited by the
    /// application.
    pub(super) fn mark_app_limited(&mut self, in_flight: u64) {
        self.app_limited_until = Some(self.delivered + in_flight);
    }

    /// How many records are kept.
    #[cfg(test)]
    pub(super) fn record_count(&self) -> usize {
        self.records.len()
    }

    /// Forgets packets that were sent a round trip before the newest acknowledged one: a late
    /// acknowledgement of them is counted, but has no sample.
    fn forget_before(&mut self, newest: Instant, round_trip: Duration) {
        let keep = |record: &SentRecord| record.sent + round_trip >= newest;
        while self.records.front().is_some_and(|record| !keep(record)) {
            self.records.pop_front();
        }
    }
}
