//! The counts of connections by congestion control, of their packets, and of what held back content.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use quiver_transport::CongestionAlgorithm;

use super::TransferDirection;

/// The counts of what the network did.
#[derive(Debug)]
pub struct NetworkMetrics {
    connections: Family<CongestionLabels, Counter>,
    packets_sent: Counter,
    packets_lost: Counter,
    limits: Family<LimitLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CongestionLabels {
    congestion: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    direction: &'static str,
    by: &'static str,
}

impl NetworkMetrics {
    pub(super) fn new() -> Self {
        let metrics = Self {
            connections: Family::default(),
            packets_sent: Counter::default(),
            packets_lost: Counter::default(),
            limits: Family::default(),
        };
        for congestion in CongestionAlgorithm::ALL.map(CongestionAlgorithm::code) {
            drop(metrics.connections.get_or_create(&CongestionLabels { congestion }));
        }
        metrics
    }

    /// Counts a connection of a signed-in client.
    pub fn count_connection(&self, algorithm: CongestionAlgorithm) {
        let labels = CongestionLabels { congestion: algorithm.code() };
        self.connections.get_or_create(&labels).inc();
    }

    /// Counts packets that the server sent, and those of earlier or of these that were lost.
    pub fn count_packets(&self, sent: u64, lost: u64) {
        self.packets_sent.inc_by(sent);
        self.packets_lost.inc_by(lost);
    }

    /// Counts a verified transfer that the network limited.
    pub(super) fn count_limit(&self, direction: TransferDirection, by: Option<&'static str>) {
        let (direction, by) = (direction.label(), by.unwrap_or("unknown"));
        self.limits.get_or_create(&LimitLabels { direction, by }).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "member_connections",
            "Connections of signed-in clients by congestion control",
            self.connections.clone(),
        );
        registry.register(
            "packets_sent",
            "Packets sent on connections of signed-in clients",
            self.packets_sent.clone(),
        );
        registry.register(
            "packets_lost",
            "Packets sent on connections of signed-in clients that were lost",
            self.packets_lost.clone(),
        );
        registry.register(
            "transfers_network_limited",
            "Verified transfers that the network limited, by what held back the content",
            self.limits.clone(),
        );
    }
}
