//! What is known of the path of a connection, for people and measurements.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use quinn::Connection;
use quiver_protocol::units;

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

/// `round trip 41.2 ms (lowest 40.0 ms), 12 of 3400 packets lost, congestion control by CUBIC with up to 1.2 MB in
/// flight`
impl fmt::Display for PathFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { round_trip, sent_packets, lost_packets, congestion, .. } = self;
        let milliseconds = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
        write!(
            f,
            "round trip {} (lowest {}), {lost_packets} of {} lost, congestion control by {} with up to {} in flight",
            milliseconds(*round_trip),
            milliseconds(congestion.lowest_round_trip),
            units::counted(*sent_packets, "packet"),
            congestion.algorithm.describe(),
            units::bytes(congestion.window),
        )?;
        match congestion.delivery_rate {
            Some(rate) => write!(f, ", delivering {}", units::rate(rate)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::congestion::CongestionAlgorithm;

    #[test]
    fn a_path_is_described_with_its_delivery_rate_if_that_is_known() {
        let congestion = CongestionReport {
            algorithm: CongestionAlgorithm::Cubic,
            window: 1_200_000,
            delivery_rate: None,
            lowest_round_trip: Duration::from_millis(40),
            phase: None,
        };
        let facts = PathFacts {
            address: "192.0.2.1:4433".parse().unwrap(),
            round_trip: Duration::from_micros(41_250),
            mtu: 1452,
            sent_packets: 1,
            lost_packets: 0,
            congestion,
        };
        let start =
            "round trip 41.2 ms (lowest 40.0 ms), 0 of 1 packet lost, congestion control by ";
        assert_eq!(facts.to_string(), format!("{start}CUBIC with up to 1.2 MB in flight"));
        let (algorithm, delivery_rate) = (CongestionAlgorithm::Model, Some(23_500_000));
        let congestion = CongestionReport { algorithm, delivery_rate, ..congestion };
        let end = "a model of the path with up to 1.2 MB in flight, delivering 23.5 MB/s";
        assert_eq!(PathFacts { congestion, ..facts }.to_string(), format!("{start}{end}"));
    }
}
