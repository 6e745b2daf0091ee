//! How a path is made.

use std::time::{Duration, Instant};

use super::bottleneck::{Bottleneck, Policer};
use super::recording::{INTERVAL, Recording};
use super::schedule::Schedule;
use super::{FlowKind, SEED, SimulatedEvent, Simulation};
use crate::congestion::model::tests::random::Random;

impl Simulation {
    /// A path without loss. `rate` in bytes per second; the queue holds `products` bandwidth-delay
    /// products.
    pub(in super::super) fn new(rate: f64, round_trip: Duration, products: f64) -> Self {
        let start = Instant::now();
        let capacity = products * rate * round_trip.as_secs_f64();
        let mut simulation = Self {
            start,
            now: start,
            events: Schedule::new(),
            bottleneck: Bottleneck::new(rate, capacity, SEED),
            round_trip,
            jitter: Duration::ZERO,
            ack_interval: Duration::ZERO,
            last_received: start,
            last_ack: start,
            random: Random::new(SEED),
            flows: Vec::new(),
            recording: Recording::default(),
            seed: SEED,
            lowest_window: u64::MAX,
            most_records: 0,
        };
        simulation.schedule(start + INTERVAL, SimulatedEvent::Measure);
        simulation
    }

    /// So large a share of the packets is lost, in bursts of so many packets on average.
    pub(in super::super) fn with_loss(mut self, loss: f64, burst: f64) -> Self {
        (self.bottleneck.loss, self.bottleneck.loss_burst) = (loss, burst);
        self
    }

    /// Each packet takes up to this much longer.
    pub(in super::super) fn with_jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Acknowledgements are collected for this long.
    pub(in super::super) fn with_ack_interval(mut self, interval: Duration) -> Self {
        self.ack_interval = interval;
        self
    }

    /// Flows that are added decide by chance as this number says.
    pub(in super::super) fn with_seed(mut self, seed: u64) -> Self {
        self.seed = SEED + seed;
        self
    }

    /// Packets that find more than this many bandwidth-delay products in the queue are marked.
    pub(in super::super) fn with_marks_above(mut self, products: f64) -> Self {
        self.bottleneck.mark_above =
            products * self.bottleneck.rate * self.round_trip.as_secs_f64();
        self
    }

    /// Packets above this rate in bytes per second are lost, after a burst of so many bytes.
    pub(in super::super) fn with_policer(mut self, rate: f64, burst: f64) -> Self {
        self.bottleneck.policer = Some(Policer::new(self.start, rate, burst));
        self
    }

    /// Adds a flow that sends all it can from now on.
    pub(in super::super) fn with_flow(mut self, kind: FlowKind) -> Self {
        self.add_flow(kind);
        self
    }
}
