//! A competitor with BBR as Linux has it (version 1; Cardwell et al. 2017, "BBR: Congestion-Based Congestion Control"):
//! without its policer detection and its allowance for aggregated acknowledgements.

use std::time::{Duration, Instant};

use crate::congestion::model::delivery_rate::DeliveryRate;
use crate::congestion::model::estimate;
use crate::congestion::model::filter::RoundMax;
use crate::congestion::model::tests::{INITIAL_WINDOW, PACKET};

/// Rounds in which the highest delivery rate counts.
const RATE_ROUNDS: u64 = 10;

/// How long the lowest round-trip time counts, and for how long it is measured.
const ROUND_TRIP_LIFETIME: Duration = Duration::from_secs(10);
const PROBE_ROUND_TRIP: Duration = Duration::from_millis(200);

/// 2 / ln 2, and the cycle of pacing gains.
const HIGH_GAIN: f64 = 2.885;
const CYCLE: [f64; 8] = [1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
const WINDOW_GAIN: f64 = 2.0;

/// Linux paces 1 % below the rate.
const MARGIN: f64 = 0.99;

/// The start-up ends after three rounds that do not raise the rate by a quarter.
const GROWTH: f64 = 1.25;
const FLAT_ROUNDS: u32 = 3;

/// Packets of the smallest window.
const LEAST_PACKETS: f64 = 4.0;

/// Packets beyond two bandwidth-delay products: three batches of two.
const BATCHES: f64 = 6.0;

#[derive(Debug)]
enum BbrPhase {
    Startup { best: f64, flat: u32 },
    Drain,
    ProbeRate { step: usize, since: Instant },
    ProbeRoundTrip { until: Option<Instant> },
}

/// The state of a sender with BBR.
#[derive(Debug)]
pub(super) struct Bbr {
    deliveries: DeliveryRate,
    rates: RoundMax,
    rounds: u64,
    round_end: u64,
    lowest: Duration,
    lowest_at: Instant,
    phase: BbrPhase,
    window: f64,
    /// The window before a loss or a measurement of the round-trip time.
    prior_window: f64,
    /// The round after which the window is no longer that of packets in flight.
    recovery_end: Option<u64>,
    lost_since_probe: bool,
    in_flight: f64,
    batch: f64,
    has_filled_path: bool,
    /// Where the cycle of gains starts.
    first_step: usize,
}

impl Bbr {
    /// `random` is any number.
    pub(super) fn new(now: Instant, round_trip: Duration, random: u64) -> Self {
        // Not that with which a queue is drained.
        let first_step = 2 + usize::try_from(random % 6).expect("below 6");
        Self {
            deliveries: DeliveryRate::new(now),
            rates: RoundMax::new(RATE_ROUNDS),
            rounds: 0,
            round_end: 0,
            lowest: round_trip,
            lowest_at: now,
            phase: BbrPhase::Startup { best: 0.0, flat: 0 },
            window: estimate(INITIAL_WINDOW),
            prior_window: 0.0,
            recovery_end: None,
            lost_since_probe: false,
            in_flight: 0.0,
            batch: 0.0,
            has_filled_path: false,
            first_step,
        }
    }

    /// Bytes that may be in flight.
    pub(super) fn window(&self) -> f64 {
        match self.phase {
            BbrPhase::ProbeRoundTrip { .. } => least_window(),
            _ => self.window.max(least_window()),
        }
    }

    /// Bytes per second.
    pub(super) fn pacing_rate(&self) -> f64 {
        let gain = match self.phase {
            BbrPhase::Startup { .. } => HIGH_GAIN,
            BbrPhase::Drain => 1.0 / HIGH_GAIN,
            BbrPhase::ProbeRate { step, .. } => CYCLE[step],
            BbrPhase::ProbeRoundTrip { .. } => 1.0,
        };
        let initial = estimate(INITIAL_WINDOW) / self.lowest.as_secs_f64();
        MARGIN * gain * self.rates.get().max(initial)
    }

    pub(super) fn on_sent(&mut self, now: Instant) {
        self.deliveries.on_sent(now, self.in_flight < 1.0, Duration::ZERO);
        self.in_flight += estimate(PACKET);
    }

    pub(super) fn on_acked(&mut self, now: Instant, sent: Instant) {
        self.deliveries.on_acked(now, sent, PACKET);
        self.batch += estimate(PACKET);
    }

    pub(super) fn on_acks_end(&mut self, now: Instant, in_flight: u64) {
        self.in_flight = estimate(in_flight);
        let acked = std::mem::take(&mut self.batch);
        let Some(sample) = self.deliveries.end_batch(now, Some(self.lowest)) else { return };
        let is_round_start = sample.delivered_at_send >= self.round_end;
        if is_round_start {
            self.rounds += 1;
            self.round_end = self.deliveries.delivered();
        }
        if let Some(rate) = sample.rate {
            self.rates.insert(self.rounds, rate);
        }
        if self.recovery_end.is_some_and(|end| self.rounds > end) {
            self.recovery_end = None;
            self.window = self.window.max(self.prior_window);
        }
        self.advance(now, is_round_start);
        self.measure_round_trip(now, sample.round_trip);
        self.set_window(acked);
    }

    pub(super) fn on_lost(&mut self, bytes: u64) {
        self.in_flight = (self.in_flight - estimate(bytes)).max(0.0);
        self.lost_since_probe = true;
        if self.recovery_end.is_none() {
            // Packets are conserved for a round.
            self.prior_window = self.window;
            self.recovery_end = Some(self.rounds + 1);
            self.window = self.in_flight + estimate(PACKET);
        }
    }

    fn product(&self) -> f64 {
        self.rates.get() * self.lowest.as_secs_f64()
    }

    fn advance(&mut self, now: Instant, is_round_start: bool) {
        let (rate, product, in_flight) = (self.rates.get(), self.product(), self.in_flight);
        let (lowest, has_lost) = (self.lowest, self.lost_since_probe);
        match &mut self.phase {
            BbrPhase::Startup { best, flat } if is_round_start => {
                if rate >= *best * GROWTH {
                    (*best, *flat) = (rate, 0);
                } else {
                    *flat += 1;
                    if *flat >= FLAT_ROUNDS {
                        self.has_filled_path = true;
                        self.phase = BbrPhase::Drain;
                    }
                }
            }
            BbrPhase::Drain if in_flight <= product => {
                self.phase = BbrPhase::ProbeRate { step: self.first_step, since: now };
            }
            BbrPhase::ProbeRate { step, since } => {
                let is_over = now >= *since + lowest;
                let is_done = match *step {
                    0 => is_over && (has_lost || in_flight >= CYCLE[0] * product),
                    1 => is_over || in_flight <= product,
                    _ => is_over,
                };
                if is_done {
                    (*step, *since) = ((*step + 1) % CYCLE.len(), now);
                    self.lost_since_probe = false;
                }
            }
            _ => {}
        }
    }

    fn measure_round_trip(&mut self, now: Instant, round_trip: Duration) {
        let is_old = now > self.lowest_at + ROUND_TRIP_LIFETIME;
        if round_trip <= self.lowest || is_old {
            (self.lowest, self.lowest_at) = (round_trip, now);
        }
        if let BbrPhase::ProbeRoundTrip { until } = &mut self.phase {
            if until.is_none() && self.in_flight <= least_window() {
                *until = Some(now + PROBE_ROUND_TRIP);
            }
            if until.is_some_and(|until| now >= until) {
                self.lowest_at = now;
                self.window = self.window.max(self.prior_window);
                self.phase = if self.has_filled_path {
                    BbrPhase::ProbeRate { step: self.first_step, since: now }
                } else {
                    BbrPhase::Startup { best: 0.0, flat: 0 }
                };
            }
        } else if is_old {
            self.prior_window = self.window;
            self.phase = BbrPhase::ProbeRoundTrip { until: None };
        }
    }

    fn set_window(&mut self, acked: f64) {
        if self.recovery_end.is_some() {
            self.window = self.window.max(self.in_flight + acked);
            return;
        }
        let gain = match self.phase {
            BbrPhase::Startup { .. } | BbrPhase::Drain => HIGH_GAIN,
            BbrPhase::ProbeRate { .. } | BbrPhase::ProbeRoundTrip { .. } => WINDOW_GAIN,
        };
        let target = gain * self.product() + BATCHES * estimate(PACKET);
        self.window = if self.has_filled_path {
            (self.window + acked).min(target)
        } else {
            self.window + acked
        };
    }
}

fn least_window() -> f64 {
    LEAST_PACKETS * estimate(PACKET)
}
