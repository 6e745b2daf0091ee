//! What was measured of the path: delivery rate, lowest round-trip time, loss; round by round.

use std::time::{Duration, Instant};

use super::delivery_rate::Sample;
use super::estimate;
use super::filter::RoundMax;

/// Rounds in which the highest delivery rate counts: a cycle of probing, of 4 to 6 rounds, so that
/// there is a probe in it. More would keep rates that others have taken over since.
const RATE_ROUNDS: u64 = 6;

/// How long the lowest round-trip time counts. Routes change seldom, and to measure again costs part
/// of the throughput (draft-ietf-ccwg-bbr, MinRTTFilterLen, is 10 s too).
const ROUND_TRIP_LIFETIME: Duration = Duration::from_secs(10);

/// After a fall of the rate and the end of its queue, so many round trips without one that is close to
/// the lowest mean that the path may have become longer. The queue of a fall is drained in four.
const DOUBTFUL_ROUNDS: u32 = 8;

/// Weight of a new round in the loss of the path itself.
const LOSS_WEIGHT: f64 = 0.25;

/// A round with a lowest round-trip time above this multiple of the lowest one, and `QUEUE_FLOOR`
/// above it, had a queue from its start to its end.
const QUEUED: f64 = 1.2;

/// The rate has fallen if less than this part of it is delivered.
pub(super) const FALLEN: f64 = 0.9;

/// A queue of our own is gone after so many of the lowest round trips, because a standing queue lowers the rate by up to
/// a quarter. A queue that lasts longer is that of others, who would only use what we leave.
const OWN_QUEUE_ROUND_TRIPS: u32 = 10;

/// What fills a path is computed with at least this round-trip time. On a shorter path both systems collect packets and
/// acknowledgements for longer than that, and the less is in flight, the more often they wake up for it: at a path MTU of
/// 1452 bytes and 0.05 ms, a get was 12 % slower without this, and a put 17 %. Half and twice of it were as fast.
const PROCESSING_TIME: Duration = Duration::from_millis(1);

/// A round that loses more than this has filled a queue that is shorter than that, as of some switches. The time is
/// then halved.
const PROCESSING_LOSS: f64 = 0.01;

/// How long a halved processing time counts. To find it again costs a few of these short rounds.
const PROCESSING_LIFETIME: Duration = Duration::from_secs(10);

/// Differences below this are noise of the two systems' timers.
const QUEUE_FLOOR: Duration = Duration::from_millis(2);

/// A path as measured.
#[derive(Debug, Clone)]
pub(super) struct Path {
    rates: RoundMax,
    /// Counts the rounds that were not limited by the application.
    full_rounds: u64,
    lowest: Option<Duration>,
    /// The shortest round-trip time by which the path is filled, and when it was last halved.
    processing_time: Duration,
    halved_at: Instant,
    /// The smoothed round-trip time (RFC 9002, 5.3), about that by which quinn paces: without its correction for
    /// delayed acknowledgements.
    smoothed: Option<Duration>,
    /// When a round-trip time close to the lowest was last measured.
    lowest_at: Instant,
    /// When it was last measured with little in flight.
    probed_at: Option<Instant>,
    /// When a deep drain last started; `None` if that has to be repeated.
    drained_at: Option<Instant>,
    round: Round,
    /// Since when every round was queued from its start to its end.
    queued_since: Option<Instant>,
    /// The share of packets that are lost without a queue.
    path_loss: f64,
}

/// One round: from when a packet was sent until the acknowledgement of one sent after that.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Round {
    /// The round ends with the acknowledgement of a packet that was sent after this many delivered bytes.
    end: u64,
    delivered_at_start: u64,
    delivered: u64,
    lost: u64,
    pub(super) lowest_round_trip: Option<Duration>,
    pub(super) highest_rate: f64,
    pub(super) is_app_limited: bool,
}

impl Round {
    /// The share of bytes that were lost.
    pub(super) fn loss(&self) -> f64 {
        let sent = self.lost + self.delivered;
        if sent == 0 { 0.0 } else { estimate(self.lost) / estimate(sent) }
    }
}

impl Path {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            rates: RoundMax::new(RATE_ROUNDS),
            full_rounds: 0,
            lowest: None,
            processing_time: PROCESSING_TIME,
            halved_at: now,
            smoothed: None,
            lowest_at: now,
            probed_at: None,
            drained_at: Some(now),
            round: Round::default(),
            queued_since: None,
            path_loss: 0.0,
        }
    }

    /// Adds a sample; `delivered` are all delivered bytes so far. Returns the round that it ended.
    pub(super) fn add(&mut self, now: Instant, sample: &Sample, delivered: u64) -> Option<Round> {
        let ended = (sample.delivered_at_send >= self.round.end).then(|| {
            let mut ended = self.round;
            ended.delivered = delivered.saturating_sub(ended.delivered_at_start);
            self.end_round(now, &ended);
            self.round =
                Round { end: delivered, delivered_at_start: delivered, ..Round::default() };
            ended
        });
        self.add_round_trip(now, sample.round_trip);
        let round = &mut self.round;
        round.is_app_limited |= sample.is_app_limited;
        round.lowest_round_trip =
            Some(round.lowest_round_trip.map_or(sample.round_trip, |t| t.min(sample.round_trip)));
        if let Some(rate) = sample.rate {
            round.highest_rate = round.highest_rate.max(rate);
            if !sample.is_app_limited || rate > self.rates.get() {
                self.rates.insert(self.full_rounds, rate);
            }
        }
        ended
    }

    /// Adds lost bytes to the round.
    pub(super) fn add_loss(&mut self, bytes: u64) {
        self.round.lost += bytes;
    }

    fn end_round(&mut self, now: Instant, ended: &Round) {
        self.queued_since = self.is_queued(ended).then(|| self.queued_since.unwrap_or(now));
        if ended.loss() > PROCESSING_LOSS {
            (self.processing_time, self.halved_at) = (self.processing_time / 2, now);
        } else if now.saturating_duration_since(self.halved_at) > PROCESSING_LIFETIME {
            self.processing_time = PROCESSING_TIME;
        }
        if ended.is_app_limited {
            return;
        }
        self.full_rounds += 1;
    }

    /// Takes the loss of a round for that of the path itself.
    pub(super) fn learn_loss(&mut self, round: &Round) {
        self.path_loss += LOSS_WEIGHT * (round.loss() - self.path_loss);
    }

    fn add_round_trip(&mut self, now: Instant, round_trip: Duration) {
        self.smoothed =
            Some(self.smoothed.map_or(round_trip, |smoothed| (smoothed * 7 + round_trip) / 8));
        let Some(lowest) = self.lowest else {
            (self.lowest, self.lowest_at) = (Some(round_trip), now);
            return;
        };
        // A sixteenth above the lowest is close enough to need no new measurement; as much below it, the
        // lowest was that of a queue, part of which may remain.
        let margin = lowest / 16;
        if round_trip + margin < lowest {
            self.drained_at = None;
        }
        if round_trip <= lowest + margin {
            self.lowest_at = now;
            self.lowest = Some(lowest.min(round_trip));
        }
    }

    /// Whether the lowest round-trip time was measured too long ago.
    pub(super) fn is_round_trip_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.lowest_at) > ROUND_TRIP_LIFETIME
    }

    /// Whether a longer path explains what looks like a queue: for some round trips none was close to
    /// the lowest. Not more often than the lowest round-trip time is measured anyway, because a queue of
    /// others looks the same.
    pub(super) fn is_round_trip_doubtful(&self, now: Instant) -> bool {
        let lowest = self.lowest.unwrap_or_default();
        now.saturating_duration_since(self.lowest_at) > DOUBTFUL_ROUNDS * lowest
            && self
                .probed_at
                .is_none_or(|at| now.saturating_duration_since(at) > ROUND_TRIP_LIFETIME)
    }

    /// Whether a queue that has stood since the lowest round-trip time was measured would be unnoticed.
    pub(super) fn is_drain_old(&self, now: Instant) -> bool {
        self.drained_at.is_none_or(|at| now.saturating_duration_since(at) > ROUND_TRIP_LIFETIME)
    }

    /// Less than fills the path is in flight from now on, for a moment.
    pub(super) fn set_drained(&mut self, now: Instant) {
        self.drained_at = Some(now);
    }

    /// Rounds that were not limited by the application.
    pub(super) fn full_rounds(&self) -> u64 {
        self.full_rounds
    }

    /// Replaces the lowest round-trip time by one that was measured while little was in flight.
    pub(super) fn set_lowest_round_trip(&mut self, now: Instant, lowest: Duration) {
        (self.lowest, self.lowest_at) = (Some(lowest), now);
        self.probed_at = Some(now);
    }

    /// The lowest round-trip time; `None` before the first.
    pub(super) fn lowest_round_trip(&self) -> Option<Duration> {
        self.lowest
    }

    /// The smoothed round-trip time as a multiple of the lowest; 1 before the first.
    pub(super) fn smoothed_delay(&self) -> f64 {
        match (self.smoothed, self.lowest) {
            (Some(smoothed), Some(lowest)) if smoothed > lowest => {
                smoothed.div_duration_f64(lowest)
            }
            _ => 1.0,
        }
    }

    /// The highest delivery rate of the last rounds in bytes per second, 0 before the first.
    pub(super) fn rate(&self) -> f64 {
        self.rates.get()
    }

    /// Forgets all rates but this one.
    pub(super) fn set_rate(&mut self, rate: f64) {
        self.rates.reset(self.full_rounds, rate);
    }

    /// Bytes in flight that use the whole rate without a queue, but on a path shorter than the processing time with a
    /// queue of that; 0 before the first measurement.
    pub(super) fn bandwidth_delay_product(&self) -> f64 {
        self.lowest
            .map_or(0.0, |lowest| self.rate() * lowest.max(self.processing_time).as_secs_f64())
    }

    /// Bytes that were lost in the present round.
    pub(super) fn lost_in_round(&self) -> f64 {
        estimate(self.round.lost)
    }

    /// The present round.
    pub(super) fn round(&self) -> &Round {
        &self.round
    }

    /// The share of bytes that were lost in rounds without a queue.
    pub(super) fn path_loss(&self) -> f64 {
        self.path_loss
    }

    /// Whether a queue stood from the start of the round to its end.
    pub(super) fn is_queued(&self, round: &Round) -> bool {
        round.lowest_round_trip.is_some_and(|round_trip| self.is_queue(round_trip))
    }

    /// The present queue is our own, and the model is about to drain it.
    pub(super) fn take_queue_as_own(&mut self) {
        self.queued_since = None;
    }

    /// Whether a queue has lasted for so long that it is that of others.
    pub(super) fn is_queue_of_others(&self, now: Instant) -> bool {
        let lowest = self.lowest.unwrap_or_default();
        self.queued_since.is_some_and(|since| {
            now.saturating_duration_since(since) > OWN_QUEUE_ROUND_TRIPS * lowest
        })
    }

    /// Whether a packet with this round-trip time waited in a queue.
    pub(super) fn is_queue(&self, round_trip: Duration) -> bool {
        self.lowest.is_some_and(|lowest| round_trip > lowest.mul_f64(QUEUED) + QUEUE_FLOOR)
    }
}
