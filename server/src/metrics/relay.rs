//! The counts of introductions and relays.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// How a request for an introduction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IntroductionOutcome {
    /// The other client accepted.
    Accepted,
    /// The other client declined.
    Declined,
    /// None of the other client's connections listens or answers.
    NotReachable,
    /// No connected client has the name.
    NoSuchClient,
    /// The client is over a limit.
    RateLimited,
    /// The client cancelled, its connection ended, or the server stopped.
    Interrupted,
}

/// A request for an introduction. If it is dropped before [`finish`](Self::finish), it counts as interrupted.
#[derive(Debug)]
pub struct RunningIntroduction<'a> {
    metrics: &'a RelayMetrics,
    outcome: IntroductionOutcome,
}

/// Why a packet between two clients was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// The queue for its receiver is full.
    QueueFull,
    /// Its receiver has not read for some seconds.
    NotRead,
    /// Its sender is over the rate limit.
    RateLimit,
}

/// The counts of introductions and relays.
#[derive(Debug)]
pub struct RelayMetrics {
    introductions: Family<IntroductionLabels, Counter>,
    running: Gauge,
    bytes: Counter,
    dropped: Family<DropLabels, Counter>,
}

/// A running relay. Dropping it removes it from the count.
#[derive(Debug)]
pub struct RunningRelay(Gauge);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IntroductionLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    reason: &'static str,
}

impl RelayMetrics {
    pub(super) fn new() -> Self {
        let metrics = Self {
            introductions: Family::default(),
            running: Gauge::default(),
            bytes: Counter::default(),
            dropped: Family::default(),
        };
        for outcome in IntroductionOutcome::ALL {
            drop(metrics.introductions.get_or_create(&outcome.into()));
        }
        for reason in DropReason::ALL {
            drop(metrics.dropped.get_or_create(&reason.into()));
        }
        metrics
    }

    /// Starts counting a request for an introduction.
    #[must_use]
    pub fn start_introduction(&self) -> RunningIntroduction<'_> {
        RunningIntroduction { metrics: self, outcome: IntroductionOutcome::Interrupted }
    }

    /// Counts a relay as running for as long as the result lives.
    #[must_use]
    pub fn count_running(&self) -> RunningRelay {
        self.running.inc();
        RunningRelay(self.running.clone())
    }

    /// Counts a packet of `bytes` that waits for its receiver.
    pub fn count_bytes(&self, bytes: u64) {
        self.bytes.inc_by(bytes);
    }

    /// Counts a dropped packet.
    pub fn count_dropped(&self, reason: DropReason) {
        self.dropped.get_or_create(&reason.into()).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "introductions",
            "Requested introductions of two clients, by outcome",
            self.introductions.clone(),
        );
        registry.register(
            "relays_running",
            "Running relays between two clients",
            self.running.clone(),
        );
        registry.register_with_unit(
            "relayed",
            "Packets between clients that the server took for forwarding",
            Unit::Bytes,
            self.bytes.clone(),
        );
        registry.register(
            "relay_packets_dropped",
            "Packets between clients that the server dropped",
            self.dropped.clone(),
        );
    }
}

impl RunningIntroduction<'_> {
    /// Ends the request with `outcome`.
    pub fn finish(mut self, outcome: IntroductionOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for RunningIntroduction<'_> {
    fn drop(&mut self) {
        self.metrics.introductions.get_or_create(&self.outcome.into()).inc();
    }
}

impl Drop for RunningRelay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl IntroductionOutcome {
    const ALL: [Self; 6] = [
        Self::Accepted,
        Self::Declined,
        Self::NotReachable,
        Self::NoSuchClient,
        Self::RateLimited,
        Self::Interrupted,
    ];
}

impl DropReason {
    const ALL: [Self; 3] = [Self::QueueFull, Self::NotRead, Self::RateLimit];
}

impl From<IntroductionOutcome> for IntroductionLabels {
    fn from(outcome: IntroductionOutcome) -> Self {
        Self {
            outcome: match outcome {
                IntroductionOutcome::Accepted => "accepted",
                IntroductionOutcome::Declined => "declined",
                IntroductionOutcome::NotReachable => "not_reachable",
                IntroductionOutcome::NoSuchClient => "no_such_client",
                IntroductionOutcome::RateLimited => "rate_limited",
                IntroductionOutcome::Interrupted => "broken_off",
            },
        }
    }
}

impl From<DropReason> for DropLabels {
    fn from(reason: DropReason) -> Self {
        Self {
            reason: match reason {
                DropReason::QueueFull => "queue_full",
                DropReason::NotRead => "not_read",
                DropReason::RateLimit => "rate_limit",
            },
        }
    }
}
