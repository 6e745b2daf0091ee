//! The slowest hop of a path: its rate, its queue, and the packets that it loses.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::congestion::model::estimate;
use crate::congestion::model::tests::PACKET;
use crate::congestion::model::tests::random::Random;

/// A packet on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet {
    pub(super) flow: usize,
    pub(super) number: u64,
    /// Whether the queue has marked it (ECN).
    pub(super) is_marked: bool,
}

/// A limit of the rate without a queue: packets that exceed it are lost.
#[derive(Debug)]
pub(super) struct Policer {
    /// Bytes per second.
    rate: f64,
    burst: f64,
    credit: f64,
    refilled: Instant,
}

impl Policer {
    pub(super) fn new(now: Instant, rate: f64, burst: f64) -> Self {
        Self { rate, burst, credit: burst, refilled: now }
    }

    fn admits(&mut self, now: Instant) -> bool {
        let earned = self.rate * now.duration_since(self.refilled).as_secs_f64();
        self.credit = (self.credit + earned).min(self.burst);
        self.refilled = now;
        let is_admitted = self.credit >= estimate(PACKET);
        if is_admitted {
            self.credit -= estimate(PACKET);
        }
        is_admitted
    }
}

/// One bottleneck, which drops what its queue cannot hold.
#[derive(Debug)]
pub(super) struct Bottleneck {
    /// Bytes per second.
    pub(super) rate: f64,
    /// Bytes that may wait.
    pub(super) capacity: f64,
    /// The share of packets that are lost without a queue.
    pub(super) loss: f64,
    /// How many packets are lost in a row on average.
    pub(super) loss_burst: f64,
    /// Packets that find more bytes in the queue are marked.
    pub(super) mark_above: f64,
    pub(super) policer: Option<Policer>,
    /// No packet passes.
    pub(super) is_silent: bool,
    queue: VecDeque<Packet>,
    is_losing: bool,
    random: Random,
    arrived: u64,
    dropped: u64,
}

impl Bottleneck {
    pub(super) fn new(rate: f64, capacity: f64, seed: u64) -> Self {
        Self {
            rate,
            capacity,
            loss: 0.0,
            loss_burst: 1.0,
            mark_above: f64::INFINITY,
            policer: None,
            is_silent: false,
            queue: VecDeque::new(),
            is_losing: false,
            random: Random::new(seed),
            arrived: 0,
            dropped: 0,
        }
    }

    /// Takes a packet, or drops it. True if the queue was empty and now has to be served.
    pub(super) fn enqueue(&mut self, now: Instant, mut packet: Packet) -> bool {
        self.arrived += 1;
        let is_full = self.queued() > self.capacity;
        if is_full || self.policer.as_mut().is_some_and(|policer| !policer.admits(now)) {
            self.dropped += 1;
            return false;
        }
        packet.is_marked = self.queued() > self.mark_above;
        self.queue.push_back(packet);
        self.queue.len() == 1
    }

    /// Sends the first packet of the queue; `None` if it is lost.
    pub(super) fn serve(&mut self) -> Option<Packet> {
        let packet = self.queue.pop_front()?;
        (!self.loses() && !self.is_silent).then_some(packet)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The time that one packet occupies the bottleneck.
    pub(super) fn service_time(&self) -> Duration {
        Duration::from_secs_f64(estimate(PACKET) / self.rate)
    }

    /// How long a packet that arrives now would wait.
    pub(super) fn queueing_delay(&self) -> Duration {
        Duration::from_secs_f64(self.queued() / self.rate)
    }

    /// The share of packets that the full queue or the policer has dropped.
    pub(super) fn overflow(&self) -> f64 {
        estimate(self.dropped) / estimate(self.arrived.max(1))
    }

    fn queued(&self) -> f64 {
        estimate(self.queue.len() as u64 * PACKET)
    }

    /// Two states, as in Gilbert's model: in one of them every packet is lost.
    fn loses(&mut self) -> bool {
        let change = self.random.fraction();
        let end = 1.0 / self.loss_burst;
        self.is_losing = if self.is_losing && self.loss_burst > 1.0 {
            change >= end
        } else {
            change < self.loss * end / (1.0 - self.loss)
        };
        self.is_losing
    }
}
