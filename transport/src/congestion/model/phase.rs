//! The phases of the model, and when each ends.

use std::time::{Duration, Instant};

use super::path::{FALLEN, Round};
use super::{DRAINED_ROUND_TRIPS, Model};

/// The start-up has filled the path if the delivery rate has grown by less than this factor for
/// `FLAT_ROUNDS` rounds (draft-ietf-ccwg-bbr, 5.3.1.2, with the same two values).
const GROWTH: f64 = 1.25;
const FLAT_ROUNDS: u32 = 3;

/// A round without growth that loses more than this share of its bytes ends the start-up at once:
/// no path that is worth using loses a tenth by itself, so a short queue has overflowed.
const FLAT_LOSS: f64 = 0.1;

/// The start-up also ends within a round that has lost this part of the bandwidth-delay product.
const STARTUP_LOSS: f64 = 0.2;

/// The smallest bandwidth-delay product, in packets, that `STARTUP_LOSS` refers to: few lost packets
/// of a small window mean nothing.
const STARTUP_LOSS_PACKETS: f64 = 32.0;

/// Gain with which the path is probed for a higher rate, and with which the queue of that is drained
/// afterwards (draft-ietf-ccwg-bbr has 1.25 too, and 0.75 in its first versions). A quarter more finds
/// a doubled rate in a few cycles, and queues at most a quarter of a bandwidth-delay product.
const UP: f64 = 1.25;
pub(super) const DOWN: f64 = 0.75;

/// Gain after the rate has fallen: the queue is about as long as the old rate exceeded the new one. After a fall to a
/// quarter, a queue of four products is shorter than one after four round trips.
const FALLEN_DOWN: f64 = 0.3;

/// A lesser fall, to more than this part of the rate, may be the start of a competitor, who would take what a long drain
/// leaves: a drain as after a probe follows.
const DEEP_FALL: f64 = 0.4;

/// For how many round trips a queue is drained at most. It may be the queue of others.
const DOWN_ROUNDS: u32 = 2;
const FALLEN_DOWN_ROUNDS: u32 = 5;

/// So little of what fills the path is in flight after a deep drain. If the path has become shorter, so that
/// a queue makes up for the difference, then a round-trip time that is more than a sixteenth below the lowest shows it.
/// Each deep drain costs the missing part of a round trip: with 0.8, a path of 200 Mbit/s and 100 ms lost 20 ms.
const DRAINED: f64 = 0.9;

/// A probe that lost packets is repeated with half the gain, down to this one. In a short queue each
/// probe at full gain would take packets from everyone who shares it.
const LEAST_UP: f64 = 0.03;

/// The same among competitors, whose queue loses packets without our probes. A smaller probe would gain no share.
const LEAST_UP_AMONG_OTHERS: f64 = 0.12;

/// Each probe without loss regains this part of the full gain.
const UP_RECOVERY: f64 = (UP - 1.0) / 8.0;

/// A probe has overflowed a queue if a round loses this share more than the path itself.
const LOSS_MARGIN: f64 = 0.005;

/// The loss of the path is random: only rounds above this multiple of it are judged.
const LOSS_NOISE: f64 = 1.5;

/// If a probe raises the rate by this factor, the path has become faster, and start-up follows. A
/// probe that shares a full path gains less.
const FASTER: f64 = 1.15;

/// The rate has fallen if so many rounds with a queue deliver less of it.
const FALLEN_AFTER: usize = 2;

/// Rounds after a fall in which further falls are taken as the competition of others, for whom no
/// queue is drained: they would only use what becomes free. A queue of others has the same effect.
const COMPETITION_ROUNDS: u32 = 12;

/// Rounds between two probes: at least the first number, and up to so many more by chance, so that
/// connections do not probe in step. After at most four rounds a faster path is noticed.
const CRUISE_ROUNDS: u32 = 2;
const RANDOM_CRUISE_ROUNDS: u64 = 3;

/// The lowest round-trip time is measured for at least this long (draft-ietf-ccwg-bbr, 5.3.4.3).
const PROBE_ROUND_TRIP: Duration = Duration::from_millis(200);

/// What the window is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Phase {
    /// Grows until the path is full. `best` is the highest rate of its rounds, `flat` the number of
    /// rounds without growth.
    Startup { best: f64, flat: u32 },
    /// Waits until the queue of the start-up is gone.
    Drain,
    /// Sends faster than the path delivers, to learn whether it can deliver more than `rate`.
    Up { since: Instant, rate: f64 },
    /// Sends slower than the path delivers, until the queue of the probe is gone: `target` is in flight, as a
    /// part of what fills the path.
    Down { since: Instant, gain: f64, target: f64, rate: Option<f64> },
    /// Sends as fast as the path delivers, for some rounds. `rate` is that before the last probe.
    Cruise { rounds: u32, rate: Option<f64> },
    /// Sends little, so that the round-trip time of an empty queue can be measured.
    ProbeRoundTrip { until: Instant, lowest: Duration },
}

/// What is remembered from one probe to the next.
#[derive(Debug, Clone)]
pub(super) struct Probing {
    /// The gain of the next probe, above 1.
    excess: f64,
    /// Whether packets were lost since the last probe started that the path itself does not lose.
    has_overflowed: bool,
    /// The rates of the last rounds that were below the path's rate, with a queue.
    fallen: Vec<f64>,
    /// The lowest round-trip time of the round in which a rate was last adopted, since a queue was drained.
    fallen_round_trip: Option<Duration>,
    competition_rounds: u32,
    random: u64,
}

impl Probing {
    /// `random` is any number.
    pub(super) fn new(random: u64) -> Self {
        Self {
            excess: UP - 1.0,
            has_overflowed: false,
            fallen: Vec::with_capacity(FALLEN_AFTER),
            fallen_round_trip: None,
            competition_rounds: 0,
            // Xorshift has no zero state.
            random: random | 1,
        }
    }

    /// The gain of a probe.
    pub(super) fn gain(&self) -> f64 {
        1.0 + self.excess
    }

    fn next_random(&mut self) -> u64 {
        // Xorshift (Marsaglia 2003): enough to take connections out of step.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

impl Phase {
    pub(super) const START: Self = Self::Startup { best: 0.0, flat: 0 };

    /// The name for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Startup { .. } => "start-up",
            Self::Drain => "drain",
            Self::Up { .. } => "probe up",
            Self::Down { .. } => "probe down",
            Self::Cruise { .. } => "cruise",
            Self::ProbeRoundTrip { .. } => "probe round trip",
        }
    }
}

impl Model {
    /// Changes the phase after a batch of acknowledgements. `ended` is the round that it ended.
    pub(super) fn advance(
        &mut self,
        now: Instant,
        ended: Option<&Round>,
        is_app_limited: bool,
        is_delayed: bool,
    ) {
        if let Some(round) = ended.filter(|round| !round.is_app_limited) {
            self.on_full_round(now, round);
        }
        let lowest = self.path.lowest_round_trip().unwrap_or_default();
        match self.phase {
            Phase::Startup { .. } => {
                if is_delayed && !is_app_limited && !self.path.round().is_app_limited {
                    self.phase = Phase::Drain;
                }
            }
            Phase::Drain => {
                if self.in_flight <= self.full() {
                    self.drained_until = Some(now + DRAINED_ROUND_TRIPS * lowest);
                    self.cruise(None);
                }
            }
            Phase::Up { since, rate } => {
                if now >= since + lowest {
                    self.drain_probe(now, rate);
                }
            }
            Phase::Down { since, gain, target, rate } => {
                let rounds = if gain < DOWN { FALLEN_DOWN_ROUNDS } else { DOWN_ROUNDS };
                if self.in_flight <= target * self.full() || now >= since + rounds * lowest {
                    if gain < DOWN {
                        self.drained_until = Some(now + DRAINED_ROUND_TRIPS * lowest);
                    }
                    self.cruise(rate);
                }
            }
            Phase::Cruise { .. } => {
                if !is_app_limited && self.path.is_round_trip_old(now) {
                    self.probe_round_trip(now);
                }
            }
            Phase::ProbeRoundTrip { until, lowest } => {
                if now >= until {
                    self.path.set_lowest_round_trip(now, lowest);
                    self.cruise(None);
                }
            }
        }
    }

    /// Changes the phase because packets were lost.
    pub(super) fn advance_after_loss(&mut self) {
        if let Phase::Startup { .. } = self.phase {
            let product = self.path.bandwidth_delay_product();
            let least = STARTUP_LOSS_PACKETS * self.packet;
            if product > 0.0 && self.path.lost_in_round() > STARTUP_LOSS * product.max(least) {
                self.phase = Phase::Drain;
            }
        }
    }

    /// Changes the phase because a router has marked packets (ECN, RFC 9000, 13.4): its queue is long.
    pub(super) fn advance_after_mark(&mut self, now: Instant) {
        self.probing.has_overflowed = true;
        match self.phase {
            Phase::Startup { .. } => self.phase = Phase::Drain,
            Phase::Up { .. } | Phase::Cruise { .. } => {
                self.phase = Phase::Down { since: now, gain: DOWN, target: 1.0, rate: None };
            }
            Phase::Drain | Phase::Down { .. } | Phase::ProbeRoundTrip { .. } => {}
        }
    }

    fn cruise(&mut self, rate: Option<f64>) {
        let random = self.probing.next_random() % RANDOM_CRUISE_ROUNDS;
        let rounds = CRUISE_ROUNDS + u32::try_from(random).unwrap_or_default();
        self.phase = Phase::Cruise { rounds, rate };
    }

    fn drain_probe(&mut self, now: Instant, rate: f64) {
        let is_deep = self.path.is_drain_old(now);
        if is_deep {
            // Now, not at its end: the round-trip times that it lowers may ask for another.
            self.path.set_drained(now);
        }
        let target = if is_deep { DRAINED } else { 1.0 };
        self.phase = Phase::Down { since: now, gain: DOWN, target, rate: Some(rate) };
    }

    fn probe_round_trip(&mut self, now: Instant) {
        let lowest = self.path.lowest_round_trip().unwrap_or_default();
        let until = now + lowest.max(PROBE_ROUND_TRIP);
        self.phase = Phase::ProbeRoundTrip { until, lowest: Duration::MAX };
    }

    /// Judges a round that the application did not limit.
    fn on_full_round(&mut self, now: Instant, round: &Round) {
        if let Phase::Startup { best, flat } = &mut self.phase {
            if round.highest_rate >= *best * GROWTH {
                (*best, *flat) = (round.highest_rate, 0);
            } else {
                *flat += 1;
                if *flat >= FLAT_ROUNDS || round.loss() > FLAT_LOSS {
                    self.phase = Phase::Drain;
                }
            }
            return;
        }
        self.judge_loss(round);
        if self.has_become_faster(round) {
            self.probing.fallen.clear();
            self.phase = Phase::Startup { best: self.path.rate(), flat: 1 };
            self.window = self.path.bandwidth_delay_product().max(self.in_flight);
        } else if !self.follow_fall(now, round) {
            self.count_cruise_round(now);
        }
    }

    /// Whether others use the path too: the queue is theirs, or the rate has fallen lately.
    pub(super) fn has_competitors(&self, now: Instant) -> bool {
        self.probing.competition_rounds > 0 || self.path.is_queue_of_others(now)
    }

    /// Takes the loss of a steady round for that of the path, and notes that of other rounds.
    fn judge_loss(&mut self, round: &Round) {
        let is_steady = matches!(self.phase, Phase::Cruise { rounds: 1, .. })
            && !self.is_queueing()
            && !self.path.is_queued(round);
        if is_steady {
            self.path.learn_loss(round);
        } else if round.loss() > self.path.path_loss() * LOSS_NOISE + LOSS_MARGIN {
            self.probing.has_overflowed = true;
        }
    }

    fn has_become_faster(&self, round: &Round) -> bool {
        let (Phase::Cruise { rate: Some(rate), .. } | Phase::Down { rate: Some(rate), .. }) =
            self.phase
        else {
            return false;
        };
        self.path.rate() > rate * FASTER && !self.path.is_queued(round)
    }

    /// Adopts a lower rate if the rounds show one. Whether it did.
    fn follow_fall(&mut self, now: Instant, round: &Round) -> bool {
        let probing = &mut self.probing;
        probing.competition_rounds = probing.competition_rounds.saturating_sub(1);
        let is_queued = self.path.is_queued(round);
        let is_full = is_queued || round.loss() > FLAT_LOSS;
        if !is_full || round.highest_rate >= FALLEN * self.path.rate() {
            probing.fallen.clear();
            return false;
        }
        probing.fallen.push(round.highest_rate);
        if probing.fallen.len() < FALLEN_AFTER {
            return false;
        }
        let rate = probing.fallen.drain(..).fold(0.0, f64::max);
        let is_deep = rate < DEEP_FALL * self.path.rate();
        self.path.set_rate(rate);
        if !is_queued {
            return true;
        }
        if !self.has_competitors(now) {
            self.drain_fall(now, is_deep);
        } else if self.note_fallen_round_trip(round) && self.path.is_round_trip_doubtful(now) {
            self.probe_round_trip(now);
        }
        true
    }

    /// Adopts a lower rate before the rounds have judged it, except among competitors: their queue is deep, and who
    /// gives way first has less for long.
    pub(super) fn adopt_fallen(&mut self, now: Instant, rate: f64) {
        let is_steady =
            matches!(self.phase, Phase::Cruise { .. } | Phase::Up { .. } | Phase::Down { .. });
        if is_steady && !self.has_competitors(now) {
            let is_deep = rate < DEEP_FALL * self.path.rate();
            self.path.set_rate(rate);
            self.drain_fall(now, is_deep);
        }
    }

    fn drain_fall(&mut self, now: Instant, is_deep: bool) {
        let probing = &mut self.probing;
        probing.competition_rounds = COMPETITION_ROUNDS;
        probing.fallen.clear();
        probing.fallen_round_trip = None;
        self.path.take_queue_as_own();
        let gain = if is_deep { FALLEN_DOWN } else { DOWN };
        self.phase = Phase::Down { since: now, gain, target: 1.0, rate: None };
    }

    /// Notes the round-trip time of a lower rate. Whether it has stayed as it was, although less is in flight since the last fall: the
    /// delay is that of a longer path, or of others.
    fn note_fallen_round_trip(&mut self, round: &Round) -> bool {
        let round_trip = round.lowest_round_trip.unwrap_or_default();
        let previous = self.probing.fallen_round_trip.replace(round_trip);
        previous.is_some_and(|previous| round_trip + previous / 16 >= previous)
    }

    fn count_cruise_round(&mut self, now: Instant) {
        let least = if self.has_competitors(now) { LEAST_UP_AMONG_OTHERS } else { LEAST_UP };
        let Phase::Cruise { rounds, .. } = &mut self.phase else {
            return;
        };
        *rounds = rounds.saturating_sub(1);
        if *rounds > 0 {
            return;
        }
        let probing = &mut self.probing;
        let excess = if std::mem::take(&mut probing.has_overflowed) {
            probing.excess / 2.0
        } else {
            probing.excess + UP_RECOVERY
        };
        probing.excess = excess.clamp(least, UP - 1.0);
        self.phase = Phase::Up { since: now, rate: self.path.rate() };
    }
}
