//! Discrete events: senders that share one bottleneck, and a receiver for each.
//!
//! A packet waits in the queue of the bottleneck, and reaches its receiver after half of the round
//! trip. The receiver acknowledges every second packet, or a single one after 25 ms. Nothing overtakes.

mod bbr;
mod bottleneck;
mod cubic;
mod pacer;
mod recording;
mod schedule;
mod sender;
mod settings;

use std::time::{Duration, Instant};

use self::bbr::Bbr;
use self::bottleneck::{Bottleneck, Packet};
use self::cubic::CubicWindow;
use self::recording::{INTERVAL, Recording};
use self::schedule::Schedule;
use self::sender::{NextSend, PROBE, Sender, WindowSource};
use super::random::Random;
use super::{INITIAL_WINDOW, PACKET};
use crate::congestion::model::{LEAST_PACKETS, Model, estimate};

/// How long a receiver waits for a second packet to acknowledge (RFC 9000, 18.2).
const ACK_DELAY: Duration = Duration::from_millis(25);

const SEED: u64 = 88_172_645_463_325_252;

/// The timer of quinn's runtime rounds up to a millisecond.
const TIMER: Duration = Duration::from_millis(1);

/// Congestion control of a flow.
#[derive(Debug, Clone, Copy)]
pub(super) enum FlowKind {
    Model,
    Cubic,
    Bbr,
}

#[derive(Debug)]
enum SimulatedEvent {
    /// A sender may have something to send.
    Send(usize),
    /// A sender's timer has expired.
    SendTimer(usize),
    /// A sender may have waited too long for an acknowledgement.
    CheckProbe(usize),
    /// A packet has left the bottleneck.
    Served,
    Received(Packet),
    /// A receiver has waited for a second packet since this number of acknowledgements.
    AckTimer(usize, u64),
    Acked(usize, Ack),
    Measure,
}

#[derive(Debug, Default)]
struct Ack {
    numbers: Vec<u64>,
    is_marked: bool,
}

#[derive(Debug)]
struct Flow {
    sender: Sender,
    has_timer: bool,
    pending: Ack,
    acks: u64,
}

/// A path with its flows. Times are those since the start.
#[derive(Debug)]
pub(super) struct Simulation {
    start: Instant,
    now: Instant,
    events: Schedule<SimulatedEvent>,
    bottleneck: Bottleneck,
    round_trip: Duration,
    jitter: Duration,
    /// Acknowledgements arrive only at multiples of this.
    ack_interval: Duration,
    last_received: Instant,
    last_ack: Instant,
    random: Random,
    flows: Vec<Flow>,
    recording: Recording,
    seed: u64,
    lowest_window: u64,
    most_records: usize,
}

/// What changes while the simulation runs.
impl Simulation {
    /// Adds a flow that sends all it can from now on.
    pub(super) fn add_flow(&mut self, kind: FlowKind) {
        let flow = self.flows.len();
        let control = match kind {
            FlowKind::Model => {
                let packet = u16::try_from(PACKET).expect("a packet");
                let random = self.seed + flow as u64;
                let mut model = Model::new(self.now, packet, INITIAL_WINDOW, random);
                self.shake_hands(&mut model);
                WindowSource::Model(Box::new(model))
            }
            FlowKind::Cubic => WindowSource::Cubic(CubicWindow::new(self.now)),
            FlowKind::Bbr => {
                WindowSource::Bbr(Box::new(Bbr::new(self.now, self.round_trip, self.seed)))
            }
        };
        let sender = Sender::new(self.now, control, self.round_trip);
        self.flows.push(Flow { sender, has_timer: false, pending: Ack::default(), acks: 0 });
        self.recording.add_flow();
        self.schedule(self.now, SimulatedEvent::Send(flow));
        self.schedule(self.now, SimulatedEvent::CheckProbe(flow));
    }

    /// The application of a flow has so many bytes per second from now on.
    pub(super) fn set_application(&mut self, flow: usize, rate: f64) {
        self.flows[flow].sender.set_application(self.now, rate);
        self.schedule(self.now, SimulatedEvent::Send(flow));
    }

    pub(super) fn set_rate(&mut self, rate: f64) {
        self.bottleneck.rate = rate;
    }

    pub(super) fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    pub(super) fn set_silent(&mut self, is_silent: bool) {
        self.bottleneck.is_silent = is_silent;
    }

    /// Runs until so long after the start.
    pub(super) fn run_until(&mut self, elapsed: Duration) {
        let end = self.start + elapsed;
        while let Some((at, event)) = self.events.take_until(end) {
            self.now = at;
            self.handle(event);
        }
        self.now = end;
    }
}

/// What was measured.
impl Simulation {
    /// Bytes per second that a flow had delivered between two times, as a share of the present rate.
    pub(super) fn share(&self, flow: usize, from: Duration, to: Duration) -> f64 {
        self.recording.goodput(flow, from, to) / self.bottleneck.rate
    }

    /// The queueing delay between two times that the given share of measurements did not exceed, in
    /// round trips.
    pub(super) fn queue(&self, from: Duration, to: Duration, share: f64) -> f64 {
        let delay = self.recording.queueing_delay(from, to, share);
        delay.as_secs_f64() / self.round_trip.as_secs_f64()
    }

    /// The first time from which on a flow has `share` of the present rate during `period`.
    pub(super) fn reaches(
        &self,
        flow: usize,
        from: Duration,
        share: f64,
        period: Duration,
    ) -> Duration {
        let mut time = from;
        while time + period <= self.now - self.start {
            if self.share(flow, time, time + period) >= share {
                return time - from;
            }
            time += INTERVAL;
        }
        panic!("flow {flow} does not have {share} of the rate after {from:?}");
    }

    /// The share of all packets that the full queue or the policer has dropped.
    pub(super) fn overflow(&self) -> f64 {
        self.bottleneck.overflow()
    }

    /// The share of its packets that a flow took for lost.
    pub(super) fn lost(&self, flow: usize) -> f64 {
        let sender = &self.flows[flow].sender;
        estimate(sender.lost) / estimate(sender.sent.max(1))
    }

    /// The smallest window of any model after any event since the last call.
    pub(super) fn take_lowest_window(&mut self) -> u64 {
        std::mem::replace(&mut self.lowest_window, u64::MAX)
    }

    /// The largest number of records of sent packets that a model had.
    pub(super) fn most_records(&self) -> usize {
        self.most_records
    }

    /// The model of a flow.
    pub(super) fn model(&self, flow: usize) -> &Model {
        match &self.flows[flow].sender.control {
            WindowSource::Model(model) => model,
            WindowSource::Cubic(_) | WindowSource::Bbr(_) => panic!("flow {flow} has no model"),
        }
    }
}

impl Simulation {
    /// The first round trip of a connection, which carries no content.
    fn shake_hands(&self, model: &mut Model) {
        let hello = self.now.checked_sub(self.round_trip).expect("a time before the start");
        model.on_sent(hello, PACKET);
        model.on_acked(self.now, hello, PACKET);
        model.on_acks_end(self.now, 0, true);
    }

    fn schedule(&mut self, at: Instant, event: SimulatedEvent) {
        self.events.add(at, event);
    }

    fn handle(&mut self, event: SimulatedEvent) {
        match event {
            SimulatedEvent::Send(flow) => self.send(flow),
            SimulatedEvent::SendTimer(flow) => {
                self.flows[flow].has_timer = false;
                self.send(flow);
            }
            SimulatedEvent::CheckProbe(flow) => self.probe(flow),
            SimulatedEvent::Served => self.serve(),
            SimulatedEvent::Received(packet) => self.receive(packet),
            SimulatedEvent::AckTimer(flow, acks) => {
                let is_waiting = !self.flows[flow].pending.numbers.is_empty();
                if is_waiting && self.flows[flow].acks == acks {
                    self.acknowledge(flow);
                }
            }
            SimulatedEvent::Acked(flow, ack) => {
                self.flows[flow].sender.on_ack(self.now, &ack.numbers, ack.is_marked);
                self.check(flow);
                self.send(flow);
            }
            SimulatedEvent::Measure => {
                self.recording.add_queueing_delay(self.bottleneck.queueing_delay());
                self.schedule(self.now + INTERVAL, SimulatedEvent::Measure);
            }
        }
    }

    fn send(&mut self, flow: usize) {
        loop {
            match self.flows[flow].sender.next_send(self.now) {
                NextSend::Packets(packets) => self.emit(flow, packets),
                NextSend::Blocked => return,
                NextSend::Wait(wait) => return self.set_timer(flow, wait),
            }
        }
    }

    fn set_timer(&mut self, flow: usize, wait: Duration) {
        if std::mem::replace(&mut self.flows[flow].has_timer, true) {
            return;
        }
        let ticks = (self.now + wait - self.start).as_nanos().div_ceil(TIMER.as_nanos());
        let ticks = u32::try_from(ticks).expect("a short simulation");
        self.schedule(self.start + TIMER * ticks, SimulatedEvent::SendTimer(flow));
    }

    fn emit(&mut self, flow: usize, packets: u64) {
        for number in self.flows[flow].sender.send(self.now, packets) {
            let packet = Packet { flow, number, is_marked: false };
            if self.bottleneck.enqueue(self.now, packet) {
                self.schedule(self.now + self.bottleneck.service_time(), SimulatedEvent::Served);
            }
        }
        self.check(flow);
    }

    fn probe(&mut self, flow: usize) {
        let sender = &mut self.flows[flow].sender;
        if sender.has_outstanding() && sender.probe_at() <= self.now {
            sender.count_timeout();
            self.emit(flow, PROBE);
        }
        self.schedule(self.now + INTERVAL, SimulatedEvent::CheckProbe(flow));
    }

    fn serve(&mut self) {
        if let Some(packet) = self.bottleneck.serve() {
            let at = self.now + self.round_trip / 2 + self.jitter.mul_f64(self.random.fraction());
            self.last_received = self.last_received.max(at);
            self.schedule(self.last_received, SimulatedEvent::Received(packet));
        }
        if !self.bottleneck.is_empty() {
            self.schedule(self.now + self.bottleneck.service_time(), SimulatedEvent::Served);
        }
    }

    fn receive(&mut self, packet: Packet) {
        self.recording.add_delivery(self.now - self.start, packet.flow);
        let flow = &mut self.flows[packet.flow];
        flow.pending.numbers.push(packet.number);
        flow.pending.is_marked |= packet.is_marked;
        let acks = flow.acks;
        if flow.pending.numbers.len() >= 2 {
            self.acknowledge(packet.flow);
        } else {
            self.schedule(self.now + ACK_DELAY, SimulatedEvent::AckTimer(packet.flow, acks));
        }
    }

    fn acknowledge(&mut self, flow: usize) {
        let ack = std::mem::take(&mut self.flows[flow].pending);
        self.flows[flow].acks += 1;
        let mut at = self.now + self.round_trip / 2;
        if !self.ack_interval.is_zero() {
            let intervals = (at - self.start).as_nanos().div_ceil(self.ack_interval.as_nanos());
            at = self.start + self.ack_interval * u32::try_from(intervals).expect("short");
        }
        self.last_ack = self.last_ack.max(at);
        self.schedule(self.last_ack, SimulatedEvent::Acked(flow, ack));
    }

    /// Checks what holds after any event.
    fn check(&mut self, flow: usize) {
        let WindowSource::Model(model) = &self.flows[flow].sender.control else { return };
        let window = model.window();
        assert!(estimate(window) >= LEAST_PACKETS * estimate(PACKET), "window: {window} bytes");
        self.lowest_window = self.lowest_window.min(window);
        self.most_records = self.most_records.max(model.deliveries.record_count());
    }
}
