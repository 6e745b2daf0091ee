//! The pacer of quinn 0.11: 1.25 windows a round trip, in bursts.

use std::time::{Duration, Instant};

use crate::congestion::model::estimate;
use crate::congestion::model::tests::PACKET;

/// quinn sends bursts for this time, within these bounds in packets.
const BURST: f64 = 0.002;
const LEAST_BURST: f64 = 10.0;
const LARGEST_BURST: f64 = 256.0;

/// How much faster than a window a round trip quinn sends.
pub(super) const GAIN: f64 = 1.25;

#[derive(Debug)]
pub(super) struct Pacer {
    tokens: f64,
    refilled: Instant,
}

impl Pacer {
    pub(super) fn new(now: Instant) -> Self {
        Self { tokens: LEAST_BURST * estimate(PACKET), refilled: now }
    }

    /// Packets that may be sent now; `Err` tells how long to wait for the first.
    pub(super) fn packets(
        &mut self,
        now: Instant,
        window: f64,
        round_trip: Duration,
    ) -> Result<u64, Duration> {
        let packet = estimate(PACKET);
        let round_trip = round_trip.as_secs_f64();
        let capacity =
            (window * BURST / round_trip).clamp(LEAST_BURST * packet, LARGEST_BURST * packet);
        self.tokens = self.tokens.min(capacity);
        if self.tokens < packet {
            let elapsed = now.duration_since(self.refilled).as_secs_f64();
            self.tokens = (self.tokens + GAIN * window * elapsed / round_trip).min(capacity);
            self.refilled = now;
        }
        if self.tokens < packet {
            let wait = round_trip * (capacity - self.tokens) / window / GAIN;
            return Err(Duration::from_secs_f64(wait));
        }
        Ok(whole_packets(self.tokens))
    }

    pub(super) fn spend(&mut self, packets: u64) {
        self.tokens -= estimate(packets * PACKET);
    }
}

/// How many whole packets these bytes are.
pub(super) fn whole_packets(bytes: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 0")]
    let bytes = bytes.max(0.0) as u64;
    bytes / PACKET
}
