//! What is known of the path of a connection, for people and measurements.

use std::net::SocketAddr;
use std::time::Duration;

use quinn::Connection;

use crate::congestion::CongestionReport;

/// The path of a connection at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathFacts {
    /// The address of the other side.
    pub address: SocketAddr,
    /// The estimated round-trip time.
    pub round_trip: Duration,
    /// The largest datagram that the path is known to carry, in bytes; it grows in the first seconds.
    pub mtu: u16,
    /// Packets that were sent.
    pub sent_packets: u64,
    /// Those of them that were lost.
    pub lost_packets: u64,
    /// What the congestion controller knows.
    pub congestion: CongestionReport,
}

impl PathFacts {
    /// The facts of a connection now.
    #[must_use]
    pub fn of(connection: &Connection) -> Self {
        let path = connection.stats().path;
        let address = connection.remote_address();
        Self {
            // A dual-stack socket maps addresses of IPv4.
            address: SocketAddr::new(address.ip().to_canonical(), address.port()),
            round_trip: connection.rtt(),
            mtu: path.current_mtu,
            sent_packets: path.sent_packets,
            lost_packets: path.lost_packets,
            congestion: CongestionReport::of(connection),
        }
    }
}
