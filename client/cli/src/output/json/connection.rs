//! The JSON object about the connection of a transfer.

use quiver_transport::PathFacts;
use serde::Serialize;

/// The connection that a transfer has used, at its end. The counts are those of the whole connection, and of what
/// this side has sent.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ConnectionObject {
    congestion: &'static str,
    phase: Option<&'static str>,
    window_bytes: u64,
    delivery_bytes_per_second: Option<u64>,
    round_trip_seconds: f64,
    lowest_round_trip_seconds: f64,
    packets_sent: u64,
    packets_lost: u64,
    datagram_bytes: u16,
}

impl ConnectionObject {
    /// For a path.
    #[must_use]
    pub fn new(facts: &PathFacts) -> Self {
        let PathFacts { round_trip, mtu, sent_packets, lost_packets, congestion, .. } = *facts;
        Self {
            congestion: congestion.algorithm.code(),
            phase: congestion.phase,
            window_bytes: congestion.window,
            delivery_bytes_per_second: congestion.delivery_rate,
            round_trip_seconds: round_trip.as_secs_f64(),
            lowest_round_trip_seconds: congestion.lowest_round_trip.as_secs_f64(),
            packets_sent: sent_packets,
            packets_lost: lost_packets,
            datagram_bytes: mtu,
        }
    }
}
