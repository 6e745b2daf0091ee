//! A model of the path, and from it how much may be in flight. No clock, no QUIC: time and events
//! are arguments.
//!
//! The model is a delivery rate and a lowest round-trip time; their product is what fills the path
//! without a queue. It follows BBR (Cardwell et al. 2017, draft-ietf-ccwg-bbr), with these
//! differences, each of which the simulations in `tests` or `scripts/bench --paths` show:
//! - Loss alone lowers the rate only above a tenth. Less is compared with the loss of rounds without a queue, and
//!   shrinks the next probe for a higher rate.
//! - The start-up ends with the first eighth of a round trip in which every packet was delayed
//!   (after RFC 9406), instead of three rounds later.
//! - A rate that falls, with a queue, is adopted after three of the lowest round trips, and among competitors
//!   after two rounds; a rate that rises restarts the start-up.
//! - While more is in flight than fills the path, less is sent than the path delivers.
//! - A path shorter than a millisecond is filled for one, if its queue does not overflow.
//! - The rate is paced through the window, see `pace`.

mod bursts;
mod delay;
mod delivery_rate;
mod fall;
mod filter;
mod pace;
mod path;
mod phase;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use self::bursts::Bursts;
use self::delay::DelayDetector;
use self::delivery_rate::DeliveryRate;
use self::fall::FallDetector;
use self::pace::Pace;
use self::path::Path;
use self::phase::{Phase, Probing};

/// In the start-up each acknowledged byte makes the window larger by so many bytes. quinn's pacer delays what a larger
/// window allows, so that this about doubles what is sent in a round trip.
const STARTUP_GROWTH: f64 = 1.0;

/// In the start-up the window is at most this many bandwidth-delay products as measured. The measurement is late by a
/// round trip.
const STARTUP_CAP: f64 = 2.0;

/// Up to this rate in bytes per second (120 Mbit/s), what is sent nearly quadruples in a round trip instead: on a path of
/// 100 ms, doubling from the first window to 200 Mbit/s costs two round trips more.
const FAST_START_RATE: f64 = 15_000_000.0;

/// From this rate on (200 Mbit/s), what is sent doubles. In between, growth and cap change with the logarithm of the rate. If they
/// changed at once, the window would stop until the measurement has caught up with it, and leave a gap in the path.
const SLOWER_START_RATE: f64 = 25_000_000.0;

/// What is sent grows e^k times in a round trip if the window grows by k e^k / 1.25 for each acknowledged byte, because
/// quinn paces 1.25 windows a round trip. k is 1.33.
const FAST_STARTUP_GROWTH: f64 = 4.0;

/// What keeps the growth, because the measurement is late by a round trip. With 5, slow paths queue half of a
/// bandwidth-delay product more.
const FAST_STARTUP_CAP: f64 = 4.0;

/// Content starts at this rate in bytes per second (25 Mbit/s) once the handshake has measured the round trip. Few paths
/// are slower. On one of 10 Mbit/s and 100 ms it queues two round trips' worth; the 32 packets of the first window
/// would cost a path of 200 Mbit/s two round trips more.
const INITIAL_RATE: f64 = 3_125_000.0;

/// The same at 100 ms. Longer round trips are often those of a queue.
const LARGEST_INITIAL_WINDOW: f64 = 312_500.0;

/// quinn sends this many windows in a smoothed round trip.
const QUINN_PACING: f64 = 1.25;

/// A packet that is sent after the drain is acknowledged a round trip later, and then the smoothed round-trip time
/// approaches the lowest within some packets.
const DRAINED_ROUND_TRIPS: u32 = 2;

/// The window is at most this many times larger because of that: a smoothed round trip of more than 2.5 times the lowest
/// may be that of others.
const LARGEST_PACER_LAG: f64 = 2.0;

/// The window is never below this many packets. quinn sends while the window is not full with the next packet, so that
/// four are in flight, and a lost one is noticed by the acknowledgements of three others (RFC 9002, 6.1.1).
const LEAST_PACKETS: f64 = 5.0;

/// Part of the bandwidth-delay product that is in flight while the round-trip time is measured
/// (draft-ietf-ccwg-bbr, ProbeRTTCwndGain).
const PROBE_ROUND_TRIP_WINDOW: f64 = 0.5;

/// More than this part of what fills the path is in flight: there is a queue.
const QUEUEING: f64 = 1.05;

/// By how much the rate is lowered for a queue as long as the path: a quarter less for half of one. Two
/// connections that each measure the rate a little too high would fill any queue without it.
const RELIEF: f64 = 0.5;
const LARGEST_RELIEF: f64 = 0.25;

/// The largest relief among competitors, who use what we leave. Beside BBR that starts later, the simulation gives us a
/// third of the path; with half of this value more, but then a second connection of ours has too little for ten seconds.
const OTHERS_RELIEF: f64 = 0.1;

/// The pace is made up for a quarter of a round trip, and for at least 10 ms: so long do some links
/// hold acknowledgements back.
const BURST_PART: u32 = 4;
const LEAST_BURST: Duration = Duration::from_millis(10);
const LEAST_BURST_PACKETS: f64 = 10.0;

/// The send times of packets are told apart to this part of the lowest round-trip time.
const SEND_RESOLUTION: u32 = 128;

/// After this time with no more than the initial window in flight, such as messages and packets that keep the connection
/// alive, the path may be another: routes and competitors change.
const IDLE: Duration = Duration::from_secs(10);

/// The model of one connection's path and the window that follows from it. Bytes are floating-point
/// numbers: all of them are estimates.
#[derive(Debug, Clone)]
pub(super) struct Model {
    /// Bytes of a full packet.
    packet: f64,
    initial_window: f64,
    window: f64,
    in_flight: f64,
    /// Bytes acknowledged in the present batch.
    batch: f64,
    is_app_limited: bool,
    /// When more than the initial window was last in flight.
    busy_at: Instant,
    deliveries: DeliveryRate,
    path: Path,
    bursts: Bursts,
    delay: DelayDetector,
    falls: FallDetector,
    pace: Pace,
    phase: Phase,
    /// Until when the smoothed round-trip time may be that of a queue that was drained.
    drained_until: Option<Instant>,
    probing: Probing,
}

impl Model {
    /// A model of an unknown path. `packet` is the size of a full packet in bytes, `random` any number.
    pub(super) fn new(now: Instant, packet: u16, initial_window: u64, random: u64) -> Self {
        let initial_window = estimate(initial_window);
        Self {
            packet: packet.into(),
            initial_window,
            window: initial_window,
            in_flight: 0.0,
            batch: 0.0,
            is_app_limited: true,
            busy_at: now,
            deliveries: DeliveryRate::new(now),
            path: Path::new(now),
            bursts: Bursts::new(now),
            delay: DelayDetector::new(now),
            falls: FallDetector::new(now),
            pace: Pace::new(now),
            phase: Phase::START,
            drained_until: None,
            probing: Probing::new(random),
        }
    }

    /// Bytes that may be in flight.
    pub(super) fn window(&self) -> u64 {
        let mut least = self.least_window();
        if self.is_app_limited {
            // What the application has sent so far says little about what it may send next.
            least = least.max(self.initial_window);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 0")]
        let window = self.window.max(least) as u64;
        window
    }

    /// The highest recent delivery rate in bytes per second; `None` before the first measurement.
    pub(super) fn delivery_rate(&self) -> Option<u64> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 0")]
        let rate = self.path.rate() as u64;
        (rate > 0).then_some(rate)
    }

    /// The lowest round-trip time; `None` before the first measurement.
    pub(super) fn lowest_round_trip(&self) -> Option<Duration> {
        self.path.lowest_round_trip()
    }

    /// The name of the phase.
    pub(super) fn phase_name(&self) -> &'static str {
        self.phase.name()
    }

    /// The path carries packets of this size from now on.
    pub(super) fn set_packet(&mut self, packet: u16) {
        self.packet = packet.into();
    }

    /// Packets were sent.
    pub(super) fn on_sent(&mut self, now: Instant, bytes: u64) {
        let is_idle = self.in_flight < 1.0;
        if self.is_app_limited && now.saturating_duration_since(self.busy_at) > IDLE {
            self.restart();
        }
        let resolution = self.path.lowest_round_trip().unwrap_or_default() / SEND_RESOLUTION;
        self.deliveries.on_sent(now, is_idle, resolution);
        self.in_flight += estimate(bytes);
        self.pace.spend(estimate(bytes));
    }

    /// One packet, which was sent at `sent`, was acknowledged.
    pub(super) fn on_acked(&mut self, now: Instant, sent: Instant, bytes: u64) {
        self.deliveries.on_acked(now, sent, bytes);
        self.batch += estimate(bytes);
    }

    /// All acknowledgements of a batch were given to [`on_acked`](Self::on_acked). `is_app_limited`:
    /// the application had too little to send before.
    pub(super) fn on_acks_end(&mut self, now: Instant, in_flight: u64, is_app_limited: bool) {
        let acked = std::mem::take(&mut self.batch);
        let in_flight_before = self.in_flight - acked;
        self.in_flight = estimate(in_flight);
        // Packets that only acknowledge are sent, but are not in flight (RFC 9002, 2), and are not paced.
        self.pace.refund((in_flight_before - self.in_flight).max(0.0));
        if self.in_flight + acked > self.initial_window {
            self.busy_at = now;
        }
        self.is_app_limited = is_app_limited;
        if is_app_limited {
            self.deliveries.mark_app_limited(in_flight);
        }
        let Some(sample) = self.deliveries.end_batch(now, self.path.lowest_round_trip()) else {
            return;
        };
        if self.path.lowest_round_trip().is_none() {
            self.set_initial_window(sample.round_trip);
        }
        let ended = self.path.add(now, &sample, self.deliveries.delivered());
        let lowest = self.path.lowest_round_trip().unwrap_or(sample.round_trip);
        let is_delayed = self.delay.add(now, sample.round_trip, lowest);
        match &mut self.phase {
            // The rate is not known yet, so everything would look like a burst.
            Phase::Startup { .. } => {}
            Phase::ProbeRoundTrip { lowest, .. } => *lowest = (*lowest).min(sample.round_trip),
            _ => {
                let (rate, round) = (self.path.rate(), self.path.full_rounds());
                self.bursts.add(now, rate, acked, round, self.window);
            }
        }
        let is_queued = !sample.is_app_limited && self.path.is_queue(sample.round_trip);
        if let Some(rate) = self.falls.add(now, acked, is_queued, self.path.rate(), lowest) {
            self.adopt_fallen(now, rate);
        }
        self.advance(now, ended.as_ref(), is_app_limited, is_delayed);
        self.update_window(now, acked);
    }

    /// Packets were lost. `is_persistent`: everything was lost for several round trips (RFC 9002, 7.6).
    pub(super) fn on_lost(&mut self, bytes: u64, is_persistent: bool) {
        self.path.add_loss(bytes);
        self.in_flight = (self.in_flight - estimate(bytes)).max(0.0);
        if is_persistent {
            self.path.set_rate(0.0);
            self.phase = Phase::START;
            self.window = self.least_window();
            self.is_app_limited = false;
            return;
        }
        self.advance_after_loss();
        // What replaces the lost packets is paced as well.
        self.window = (self.window - estimate(bytes)).max(self.in_flight).max(self.least_window());
    }

    /// A router has marked packets because its queue is long.
    pub(super) fn on_marked(&mut self, now: Instant) {
        self.advance_after_mark(now);
    }

    fn least_window(&self) -> f64 {
        LEAST_PACKETS * self.packet
    }

    /// Bytes in flight that fill the path, with its bursts of acknowledgements.
    fn full(&self) -> f64 {
        self.path.bandwidth_delay_product() + self.bursts.largest()
    }

    fn is_queueing(&self) -> bool {
        self.in_flight > QUEUEING * self.full()
    }

    /// By how much the rate is lowered for a queue.
    fn relief(&self, now: Instant) -> f64 {
        let queue = self.in_flight / self.full().max(self.least_window()) - QUEUEING;
        let largest = if self.has_competitors(now) { OTHERS_RELIEF } else { LARGEST_RELIEF };
        (RELIEF * queue).clamp(0.0, largest)
    }

    fn restart(&mut self) {
        self.window = (self.path.bandwidth_delay_product() / 2.0).max(self.initial_window);
        self.phase = Phase::START;
    }

    fn update_window(&mut self, now: Instant, acked: f64) {
        let product = self.path.bandwidth_delay_product();
        let gain = match self.phase {
            Phase::Startup { .. } => return self.grow(now, acked),
            Phase::Drain => return self.set_unpaced_window(now, product),
            Phase::ProbeRoundTrip { .. } => {
                return self.set_unpaced_window(now, PROBE_ROUND_TRIP_WINDOW * product);
            }
            Phase::Up { .. } => self.probing.gain(),
            Phase::Down { gain, .. } => gain,
            Phase::Cruise { .. } => 1.0 - self.relief(now),
        };
        let lowest = self.path.lowest_round_trip().unwrap_or_default();
        let burst = (lowest / BURST_PART).max(LEAST_BURST);
        let least_burst = LEAST_BURST_PACKETS * self.packet;
        self.pace.refill(now, gain * self.path.rate(), burst, least_burst);
        // Two products, as in BBR: enough to keep a share beside others that fill the queue.
        let earned = (self.in_flight + self.pace.credit()).min(product + self.full());
        // With less in flight there are too few acknowledgements to pace by.
        self.window = earned.max(gain.min(1.0) * self.full() * self.pacer_lag(now));
    }

    /// By how much the window has to be larger, so that quinn's pacer does not send less than the path delivers.
    ///
    /// After the drain of a long queue, of the start-up or of a fall, the smoothed round-trip time is still long, because
    /// little was sent that could have shown the empty queue.
    fn pacer_lag(&self, now: Instant) -> f64 {
        let has_drained = self.drained_until.is_some_and(|until| now < until);
        if !has_drained || self.is_queueing() {
            return 1.0;
        }
        (self.path.smoothed_delay() / QUINN_PACING).clamp(1.0, LARGEST_PACER_LAG)
    }

    /// How far the start-up has slowed down: 0 while it is fast, 1 once what is sent only doubles in a round trip.
    fn slowdown(&self) -> f64 {
        let lowest = self.path.lowest_round_trip().unwrap_or_default();
        let rate = self.window / lowest.as_secs_f64().max(f64::MIN_POSITIVE);
        let range = (SLOWER_START_RATE / FAST_START_RATE).ln();
        ((rate / FAST_START_RATE).ln() / range).clamp(0.0, 1.0)
    }

    /// Replaces the initial window by one that is paced at `INITIAL_RATE`.
    fn set_initial_window(&mut self, round_trip: Duration) {
        let window = (INITIAL_RATE * round_trip.as_secs_f64()).min(LARGEST_INITIAL_WINDOW);
        self.initial_window = self.initial_window.max(window);
        self.window = self.window.max(self.initial_window);
    }

    fn grow(&mut self, now: Instant, acked: f64) {
        self.pace.clear(now);
        if self.is_app_limited {
            return;
        }
        let slowdown = self.slowdown();
        let between = |fast: f64, slow: f64| fast + (slow - fast) * slowdown;
        let growth = between(FAST_STARTUP_GROWTH, STARTUP_GROWTH);
        let cap = between(FAST_STARTUP_CAP, STARTUP_CAP);
        let cap = (cap * self.path.bandwidth_delay_product()).max(self.initial_window);
        self.window = (self.window + growth * acked).min(cap.max(self.window));
    }

    fn set_unpaced_window(&mut self, now: Instant, window: f64) {
        self.pace.clear(now);
        self.window = window;
    }
}

/// A number of bytes, as an estimate.
#[expect(clippy::cast_precision_loss, reason = "exact up to 9 PB")]
fn estimate(bytes: u64) -> f64 {
    bytes as f64
}
