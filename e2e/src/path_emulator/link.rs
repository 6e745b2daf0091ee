//! One direction of a path: a queue, a link with a rate, and a delay. Pure: time is an argument, in nanoseconds since
//! any start, and never decreases. Knows packets only by their size.

use std::collections::VecDeque;
use std::time::Duration;

use super::burst::BurstState;
use super::counters::{DropCause, LinkCounters};
use super::settings::LinkSettings;
use crate::random::Random;

/// One direction of a path with the packets in it; `P` is what the caller knows a packet by.
#[derive(Debug)]
pub(crate) struct EmulatedLink<P> {
    settings: LinkSettings,
    random: Random,
    burst: BurstState,
    /// Packets that wait for the link.
    waiting: VecDeque<QueuedPacket<P>>,
    /// When the link has transmitted the last packet that it started with.
    busy_until: u64,
    /// Packets that were transmitted or are in transmission, each with the time of its delivery, in its order.
    in_flight: VecDeque<(u64, QueuedPacket<P>)>,
    /// The latest delivery of a packet that keeps its order.
    last_delivery: u64,
    counters: LinkCounters,
}

#[derive(Debug)]
struct QueuedPacket<P> {
    content: P,
    size: u64,
}

impl<P> EmulatedLink<P> {
    pub(crate) fn new(settings: LinkSettings, seed: u64) -> Self {
        Self {
            settings,
            random: Random::new(seed),
            burst: BurstState::default(),
            waiting: VecDeque::new(),
            busy_until: 0,
            in_flight: VecDeque::new(),
            last_delivery: 0,
            counters: LinkCounters::default(),
        }
    }

    /// Changes the settings. The packet in transmission and those already transmitted keep the times they have.
    pub(crate) fn change(&mut self, now: u64, settings: LinkSettings) {
        self.advance(now);
        self.settings = settings;
        // A limit that was lifted does not hold back the packets that wait.
        self.advance(now);
    }

    pub(crate) fn counters(&mut self, now: u64) -> LinkCounters {
        self.advance(now);
        self.counters
    }

    /// Forgets the largest values among the counters.
    pub(crate) fn restart_peaks(&mut self, now: u64) {
        self.advance(now);
        self.counters.restart_peaks();
    }

    /// Counts a packet that was delivered here and that the receiver's interface refused.
    pub(crate) fn count_refusal(&mut self) {
        self.counters.refused += 1;
    }

    /// Takes a packet that arrives now, of `size` bytes. Returns one that is dropped.
    pub(crate) fn offer(&mut self, now: u64, size: u64, content: P) -> Option<P> {
        self.advance(now);
        self.counters.count_arrival(size);
        if let Some(cause) = self.reason_to_drop(size, now) {
            self.counters.count_drop(cause);
            return Some(content);
        }
        let packet = QueuedPacket { content, size };
        if self.is_idle(now) {
            self.transmit(now, packet);
        } else {
            self.waiting.push_back(packet);
            self.counters.queue += size;
            self.counters.largest_queue = self.counters.largest_queue.max(self.counters.queue);
        }
        None
    }

    /// The next packet whose delivery is due.
    pub(crate) fn deliver(&mut self, now: u64) -> Option<P> {
        self.advance(now);
        let (due, packet) = self.in_flight.pop_front_if(|(due, _)| *due <= now)?;
        self.counters.count_delivery(packet.size, Duration::from_nanos(now - due));
        Some(packet.content)
    }

    /// When [`deliver`](Self::deliver) has a packet again, or shortly before. `None`: not before the next one arrives.
    pub(crate) fn next_delivery(&self) -> Option<u64> {
        let in_flight = self.in_flight.front().map(|(due, _)| *due);
        let waiting = self.waiting.front().map(|_| self.busy_until + self.shortest_delay());
        in_flight.into_iter().chain(waiting).min()
    }

    fn reason_to_drop(&mut self, size: u64, now: u64) -> Option<DropCause> {
        let settings = self.settings;
        if settings.is_silent {
            return Some(DropCause::Silence);
        }
        if self.random.chance(settings.random_loss) {
            return Some(DropCause::Random);
        }
        if let Some(burst) = settings.burst_loss
            && self.burst.loses_next(burst, &mut self.random)
        {
            return Some(DropCause::Burst);
        }
        let exceeds = settings.queue.is_some_and(|limit| self.counters.queue + size > limit);
        (exceeds && !self.is_idle(now)).then_some(DropCause::Queue)
    }

    fn is_idle(&self, now: u64) -> bool {
        self.waiting.is_empty() && self.busy_until <= now
    }

    /// Starts the transmissions that were due until now.
    fn advance(&mut self, now: u64) {
        while self.busy_until <= now
            && let Some(packet) = self.waiting.pop_front()
        {
            self.counters.queue -= packet.size;
            self.transmit(self.busy_until, packet);
        }
    }

    /// Transmits a packet from `start` on.
    fn transmit(&mut self, start: u64, packet: QueuedPacket<P>) {
        let time = self.settings.rate.map_or(0, |rate| packet.size * 8 * 1_000_000_000 / rate);
        self.busy_until = start + time;
        let due = self.delivery_time();
        // Most packets are the last ones.
        let position = match self.in_flight.back() {
            Some((last, _)) if *last > due => self.in_flight.partition_point(|(at, _)| *at <= due),
            _ => self.in_flight.len(),
        };
        self.in_flight.insert(position, (due, packet));
    }

    /// When the packet is delivered whose transmission has just been planned.
    fn delivery_time(&mut self) -> u64 {
        let settings = self.settings;
        let delay = nanoseconds(settings.delay);
        if let Some(reordering) = settings.reordering
            && self.random.chance(reordering.share)
        {
            let by = nanoseconds(reordering.by);
            let delay = if reordering.is_early { delay.saturating_sub(by) } else { delay + by };
            return self.busy_until + delay;
        }
        let (jitter, keeps_order) = settings.jitter.map_or((0, true), |jitter| {
            let up_to = nanoseconds(jitter.up_to) as f64;
            ((self.random.share() * up_to) as u64, jitter.keeps_order)
        });
        let due = self.busy_until + delay + jitter;
        if !keeps_order {
            return due;
        }
        // Also if the delay has become shorter meanwhile.
        self.last_delivery = self.last_delivery.max(due);
        self.last_delivery
    }

    /// The shortest time from the end of a transmission to its delivery.
    fn shortest_delay(&self) -> u64 {
        let earlier = self.settings.reordering.filter(|reordering| reordering.is_early);
        let earlier = earlier.map_or(Duration::ZERO, |reordering| reordering.by);
        nanoseconds(self.settings.delay.saturating_sub(earlier))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("a duration below centuries")
}

#[cfg(test)]
mod tests;
