//! Any sequence of events, also those that no path explains.

use std::time::{Duration, Instant};

use super::random::Random;
use super::{INITIAL_WINDOW, PACKET, ms};
use crate::congestion::model::{LEAST_PACKETS, Model, estimate};

const SEQUENCES: u64 = 200;
const EVENTS: u32 = 2000;

/// A connection that does anything at any time.
struct Chaos {
    model: Model,
    now: Instant,
    sent: Vec<Instant>,
    random: Random,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        let packet = u16::try_from(PACKET).expect("a packet");
        Self {
            model: Model::new(now, packet, INITIAL_WINDOW, seed),
            now,
            sent: Vec::new(),
            random: Random::new(seed),
        }
    }

    /// Half of the time none passes, sometimes very much.
    fn pass_time(&mut self) {
        let duration = match self.random.below(20) {
            0..10 => Duration::ZERO,
            10..15 => Duration::from_nanos(self.random.below(1000)),
            15..19 => Duration::from_micros(self.random.below(100_000)),
            _ => ms(self.random.below(40_000)),
        };
        self.now += duration;
    }

    fn act(&mut self) {
        match self.random.below(12) {
            0..4 => self.send(),
            4..7 => self.acknowledge(),
            7 => self.lose(),
            8 => self.model.on_marked(self.now),
            // A packet that only acknowledges is not in flight.
            9 => self.model.on_sent(self.now, 40),
            10 => self
                .model
                .set_packet(u16::try_from(PACKET + self.random.below(100)).expect("a packet")),
            _ => self.model.on_acks_end(self.now, self.in_flight(), self.random.below(2) == 0),
        }
    }

    /// Up to the window, or a packet beyond it, as probes are sent.
    fn send(&mut self) {
        let free = self.model.window().saturating_sub(self.in_flight()) / PACKET;
        for _ in 0..self.random.below(free.min(100) + 2) {
            self.model.on_sent(self.now, PACKET);
            self.sent.push(self.now);
        }
    }

    fn acknowledge(&mut self) {
        for sent in self.take_some() {
            self.model.on_acked(self.now, sent, PACKET);
        }
        let is_app_limited = self.random.below(3) == 0;
        self.model.on_acks_end(self.now, self.in_flight(), is_app_limited);
    }

    fn lose(&mut self) {
        let is_persistent = self.random.below(4) == 0;
        let lost = if is_persistent { std::mem::take(&mut self.sent) } else { self.take_some() };
        self.model.on_lost(lost.len() as u64 * PACKET, is_persistent);
    }

    /// Takes packets from anywhere.
    fn take_some(&mut self) -> Vec<Instant> {
        let length = self.sent.len() as u64;
        let count = self.random.below(length + 1);
        let first = self.random.below(length - count + 1);
        let first = usize::try_from(first).expect("few packets");
        let count = usize::try_from(count).expect("few packets");
        self.sent.drain(first..first + count).collect()
    }

    fn in_flight(&self) -> u64 {
        self.sent.len() as u64 * PACKET
    }
}

#[test]
fn the_window_is_never_below_5_packets_and_all_estimates_are_numbers() {
    for seed in 1..=SEQUENCES {
        let mut chaos = Chaos::new(seed);
        for event in 0..EVENTS {
            chaos.pass_time();
            chaos.act();
            let window = estimate(chaos.model.window());
            assert!(
                window >= LEAST_PACKETS * estimate(PACKET),
                "window: {window} bytes after event {event} of sequence {seed}"
            );
            let Model { window, in_flight, pace, path, .. } = &chaos.model;
            let estimates = [*window, *in_flight, pace.credit(), path.rate(), path.path_loss()];
            assert!(
                estimates.iter().all(|estimate| estimate.is_finite() && *estimate >= 0.0),
                "{estimates:?} after event {event} of sequence {seed}"
            );
        }
    }
}

#[test]
fn the_loss_of_everything_leaves_a_window_that_can_be_used() {
    let start = Instant::now();
    let packet = u16::try_from(PACKET).expect("a packet");
    for is_persistent in [false, true] {
        let mut model = Model::new(start, packet, INITIAL_WINDOW, 1);
        model.on_sent(start, INITIAL_WINDOW);
        model.on_lost(INITIAL_WINDOW, is_persistent);
        let window = model.window();
        assert!(window >= 4 * PACKET, "{window}");
        model.on_lost(INITIAL_WINDOW, is_persistent);
        assert!(model.window() >= 4 * PACKET, "{}", model.window());
    }
}

#[test]
fn packets_that_only_acknowledge_take_nothing_from_the_content() {
    let mut now = Instant::now();
    let packet = u16::try_from(PACKET).expect("a packet");
    let [mut alone, mut both] = [0; 2].map(|_| Model::new(now, packet, INITIAL_WINDOW, 1));
    let mut sent: std::collections::VecDeque<(Instant, u64)> = std::collections::VecDeque::new();
    let mut in_flight = 0;
    // A path of 20 ms and 80 packets in flight.
    for round in 0..2000 {
        now += ms(1);
        let bytes = (alone.window().saturating_sub(in_flight) / PACKET).min(4) * PACKET;
        in_flight += bytes;
        sent.push_back((now, bytes));
        alone.on_sent(now, bytes);
        both.on_sent(now, bytes);
        both.on_sent(now, 1000);
        while let Some((at, bytes)) = sent.pop_front_if(|(at, _)| *at + ms(20) <= now) {
            in_flight -= bytes;
            for model in [&mut alone, &mut both] {
                model.on_acked(now, at, bytes);
                model.on_acks_end(now, in_flight, false);
            }
        }
        assert_eq!(alone.window(), both.window(), "after {round} ms");
    }
}

#[test]
fn acknowledgements_without_a_round_trip_leave_the_initial_window() {
    let start = Instant::now();
    let packet = u16::try_from(PACKET).expect("a packet");
    let mut model = Model::new(start, packet, INITIAL_WINDOW, 1);
    for _ in 0..1000 {
        model.on_sent(start, PACKET);
        model.on_acked(start, start, PACKET);
        model.on_acks_end(start, 0, true);
        assert!(model.window() >= INITIAL_WINDOW, "{}", model.window());
    }
    assert_eq!(model.delivery_rate(), None);
}
