//! A competitor with CUBIC (RFC 9438), whose slow start ends as in RFC 9406.

use std::time::{Duration, Instant};

use crate::congestion::model::estimate;
use crate::congestion::model::tests::PACKET;

/// RFC 9438, 4: the constant C, in packets per second cubed, and beta.
const C: f64 = 0.4;
const BETA: f64 = 0.7;

/// Samples of a round before its lowest round-trip time is judged (RFC 9406, 4.2).
const SAMPLES: u32 = 8;

/// The window of CUBIC, in packets.
#[derive(Debug)]
pub(super) struct CubicWindow {
    window: f64,
    largest: f64,
    threshold: f64,
    /// When the growth since the last loss began.
    epoch: Option<Instant>,
    recovery: Instant,
    lowest: Duration,
    round: CubicRound,
}

#[derive(Debug)]
struct CubicRound {
    started: Instant,
    lowest: Duration,
    samples: u32,
}

impl CubicWindow {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            window: 10.0,
            largest: 0.0,
            threshold: f64::INFINITY,
            epoch: None,
            recovery: now,
            lowest: Duration::MAX,
            round: CubicRound { started: now, lowest: Duration::MAX, samples: 0 },
        }
    }

    /// Bytes that may be in flight.
    pub(super) fn bytes(&self) -> f64 {
        self.window * estimate(PACKET)
    }

    pub(super) fn on_acked(&mut self, now: Instant, sent: Instant, is_app_limited: bool) {
        self.lowest = self.lowest.min(now - sent);
        if is_app_limited {
            return;
        }
        if self.window < self.threshold {
            self.window += 1.0;
            self.end_slow_start(now, sent);
        } else {
            self.grow(now);
        }
    }

    /// Packets were lost, the newest of which was sent at `sent`.
    pub(super) fn on_lost(&mut self, now: Instant, sent: Instant) {
        if sent < self.recovery {
            return;
        }
        self.recovery = now;
        self.largest = self.window;
        self.window = (self.window * BETA).max(2.0);
        self.threshold = self.window;
        self.epoch = None;
    }

    fn end_slow_start(&mut self, now: Instant, sent: Instant) {
        if sent > self.round.started {
            self.round = CubicRound { started: now, lowest: Duration::MAX, samples: 0 };
        }
        self.round.lowest = self.round.lowest.min(now - sent);
        self.round.samples += 1;
        let delay = (self.lowest / 8).clamp(Duration::from_millis(4), Duration::from_millis(16));
        if self.round.samples >= SAMPLES && self.round.lowest > self.lowest + delay {
            self.threshold = self.window;
        }
    }

    fn grow(&mut self, now: Instant) {
        let epoch = *self.epoch.get_or_insert(now);
        self.largest = self.largest.max(self.window);
        let plateau = (self.largest * (1.0 - BETA) / C).cbrt();
        let elapsed = (now - epoch + self.lowest).as_secs_f64();
        let target = (C * (elapsed - plateau).powi(3) + self.largest).min(self.window * 1.5);
        // Where the target is lower, the window still grows a little, to be not smaller than Reno's.
        self.window += ((target - self.window) / self.window).max(0.01 / self.window);
    }
}
