//! A sender: what it has in flight, what it takes for lost, and when it may send.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::bbr::Bbr;
use super::cubic::CubicWindow;
use super::pacer::{GAIN, Pacer, whole_packets};
use crate::congestion::model::tests::PACKET;
use crate::congestion::model::{Model, estimate};

/// Packets that quinn sends at once at most.
const BATCH: u64 = 10;

/// How much later than others a packet may be acknowledged (RFC 9002, 6.1.1 and 6.1.2).
const REORDERED_PACKETS: u64 = 3;
const REORDERED_TIME: f64 = 9.0 / 8.0;

/// Probe timeouts that make congestion persistent (RFC 9002, 7.6.1).
const PERSISTENT: u32 = 3;

/// The receiver's delay of acknowledgements that a probe timeout allows for.
const ACK_DELAY: Duration = Duration::from_millis(25);

/// Packets that a probe timeout sends.
pub(super) const PROBE: u64 = 2;

/// How often a sender asks an application that had too little to send.
const APPLICATION_POLL: Duration = Duration::from_millis(1);

/// What decides how much may be in flight.
#[derive(Debug)]
pub(super) enum WindowSource {
    Model(Box<Model>),
    Cubic(CubicWindow),
    Bbr(Box<Bbr>),
}

/// What an application has to send.
#[derive(Debug, Clone, Copy)]
pub(super) enum Application {
    Unlimited,
    /// So many bytes per second, and at most this many collect.
    Rate {
        rate: f64,
        ready: f64,
        since: Instant,
    },
}

/// What a sender may do now.
#[derive(Debug, PartialEq)]
pub(super) enum NextSend {
    Packets(u64),
    Wait(Duration),
    /// The window is full: an acknowledgement comes first.
    Blocked,
}

#[derive(Debug)]
pub(super) struct Sender {
    pub(super) control: WindowSource,
    application: Application,
    pacer: Pacer,
    outstanding: BTreeMap<u64, Instant>,
    next: u64,
    largest_acked: u64,
    is_app_limited: bool,
    smoothed: Duration,
    timeouts: u32,
    last_progress: Instant,
    pub(super) sent: u64,
    pub(super) lost: u64,
}

impl Sender {
    /// A sender whose handshake has measured `round_trip`.
    pub(super) fn new(now: Instant, control: WindowSource, round_trip: Duration) -> Self {
        Self {
            control,
            application: Application::Unlimited,
            pacer: Pacer::new(now),
            outstanding: BTreeMap::new(),
            next: 0,
            largest_acked: 0,
            is_app_limited: false,
            smoothed: round_trip,
            timeouts: 0,
            last_progress: now,
            sent: 0,
            lost: 0,
        }
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.outstanding.len() as u64 * PACKET
    }

    pub(super) fn window(&self) -> f64 {
        match &self.control {
            WindowSource::Model(model) => estimate(model.window()),
            WindowSource::Cubic(cubic) => cubic.bytes(),
            WindowSource::Bbr(bbr) => bbr.window(),
        }
    }

    /// From now on the application has `rate` bytes per second; infinite is all that can be sent.
    pub(super) fn set_application(&mut self, now: Instant, rate: f64) {
        self.application = if rate.is_finite() {
            Application::Rate { rate, ready: 0.0, since: now }
        } else {
            Application::Unlimited
        };
    }

    /// The window that the pacer sends in 1.25 of a round trip.
    fn paced_window(&self, window: f64) -> f64 {
        match &self.control {
            WindowSource::Bbr(bbr) => bbr.pacing_rate() * self.smoothed.as_secs_f64() / GAIN,
            WindowSource::Model(_) | WindowSource::Cubic(_) => window,
        }
    }

    /// How much may be sent now.
    pub(super) fn next_send(&mut self, now: Instant) -> NextSend {
        let ready = self.ready_packets(now);
        self.is_app_limited = ready == 0;
        if self.is_app_limited {
            return NextSend::Wait(APPLICATION_POLL);
        }
        let window = self.window();
        let in_flight = estimate(self.in_flight());
        if in_flight + estimate(PACKET) >= window {
            return NextSend::Blocked;
        }
        match self.pacer.packets(now, self.paced_window(window), self.smoothed) {
            Err(wait) => NextSend::Wait(wait),
            Ok(paced) => {
                let free = whole_packets(window - in_flight);
                NextSend::Packets(BATCH.min(free).min(ready).min(paced).max(1))
            }
        }
    }

    /// Sends so many packets, and returns their numbers.
    pub(super) fn send(&mut self, now: Instant, packets: u64) -> std::ops::Range<u64> {
        if self.outstanding.is_empty() {
            self.last_progress = now;
        }
        let numbers = self.next..self.next + packets;
        for number in numbers.clone() {
            self.outstanding.insert(number, now);
            match &mut self.control {
                WindowSource::Model(model) => model.on_sent(now, PACKET),
                WindowSource::Bbr(bbr) => bbr.on_sent(now),
                WindowSource::Cubic(_) => {}
            }
        }
        self.next = numbers.end;
        self.sent += packets;
        self.pacer.spend(packets);
        if let Application::Rate { ready, .. } = &mut self.application {
            *ready -= estimate(packets * PACKET);
        }
        numbers
    }

    /// Takes an acknowledgement.
    pub(super) fn on_ack(&mut self, now: Instant, numbers: &[u64], is_marked: bool) {
        let mut newest = None;
        for number in numbers {
            let Some(sent) = self.outstanding.remove(number) else { continue };
            newest = Some(sent);
            self.largest_acked = self.largest_acked.max(*number);
            match &mut self.control {
                WindowSource::Model(model) => model.on_acked(now, sent, PACKET),
                WindowSource::Cubic(cubic) => cubic.on_acked(now, sent, self.is_app_limited),
                WindowSource::Bbr(bbr) => bbr.on_acked(now, sent),
            }
        }
        let Some(sent) = newest else { return };
        self.smoothed = (7 * self.smoothed + (now - sent)) / 8;
        (self.last_progress, self.timeouts) = (now, 0);
        let in_flight = self.in_flight();
        match &mut self.control {
            WindowSource::Model(model) => {
                model.on_acks_end(now, in_flight, self.is_app_limited);
                if is_marked {
                    model.on_marked(now);
                }
            }
            WindowSource::Bbr(bbr) => bbr.on_acks_end(now, in_flight),
            WindowSource::Cubic(_) => {}
        }
        self.find_lost(now, now - sent);
    }

    /// When to probe for acknowledgements that are missing (RFC 9002, 6.2).
    pub(super) fn probe_at(&self) -> Instant {
        self.last_progress + self.probe_timeout() * 2_u32.saturating_pow(self.timeouts)
    }

    pub(super) fn has_outstanding(&self) -> bool {
        !self.outstanding.is_empty()
    }

    pub(super) fn count_timeout(&mut self) {
        self.timeouts += 1;
    }

    /// With a round-trip time that varies by half of itself.
    fn probe_timeout(&self) -> Duration {
        self.smoothed * 2 + ACK_DELAY
    }

    fn find_lost(&mut self, now: Instant, latest: Duration) {
        let late = self.smoothed.max(latest).mul_f64(REORDERED_TIME);
        let is_lost = |number: u64, sent: Instant| {
            number + REORDERED_PACKETS <= self.largest_acked || sent + late <= now
        };
        let lost: Vec<(u64, Instant)> = self
            .outstanding
            .range(..self.largest_acked)
            .map(|(number, sent)| (*number, *sent))
            .filter(|(number, sent)| is_lost(*number, *sent))
            .collect();
        let (Some((_, first)), Some((_, last))) = (lost.first(), lost.last()) else { return };
        for (number, _) in &lost {
            self.outstanding.remove(number);
        }
        let packets = lost.len() as u64;
        self.lost += packets;
        let is_persistent = *last - *first > self.probe_timeout() * PERSISTENT;
        match &mut self.control {
            WindowSource::Model(model) => model.on_lost(packets * PACKET, is_persistent),
            WindowSource::Cubic(cubic) => cubic.on_lost(now, *last),
            WindowSource::Bbr(bbr) => bbr.on_lost(packets * PACKET),
        }
    }

    fn ready_packets(&mut self, now: Instant) -> u64 {
        match &mut self.application {
            Application::Unlimited => u64::MAX,
            Application::Rate { rate, ready, since } => {
                *ready += *rate * now.duration_since(*since).as_secs_f64();
                *since = now;
                whole_packets(*ready)
            }
        }
    }
}
