//! Counts the packets of one connection in the metrics, while it runs and when it ends.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use quiver_transport::{Connection, PathFacts};

use crate::metrics::Metrics;

/// The packets of a connection that the metrics have already. Dropping it counts the rest.
pub struct PacketCount {
    connection: Connection,
    metrics: Arc<Metrics>,
    counted: Mutex<Packets>,
}

#[derive(Debug, Default)]
struct Packets {
    sent: u64,
    lost: u64,
}

impl PacketCount {
    /// Counts the connection of a client that has signed in.
    #[must_use]
    pub fn start(connection: Connection, metrics: Arc<Metrics>) -> Self {
        let algorithm = PathFacts::of(&connection).congestion.algorithm;
        metrics.network.count_connection(algorithm);
        Self { connection, metrics, counted: Mutex::default() }
    }

    /// Counts the packets since the last time, and returns what is known of the path.
    pub fn update(&self) -> PathFacts {
        let facts = PathFacts::of(&self.connection);
        let mut counted = self.counted.lock();
        let sent = facts.sent_packets.saturating_sub(counted.sent);
        let lost = facts.lost_packets.saturating_sub(counted.lost);
        self.metrics.network.count_packets(sent, lost);
        *counted = Packets { sent: facts.sent_packets, lost: facts.lost_packets };
        facts
    }
}

impl Drop for PacketCount {
    fn drop(&mut self) {
        self.update();
    }
}

impl fmt::Debug for PacketCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketCount").field("counted", &self.counted).finish_non_exhaustive()
    }
}
