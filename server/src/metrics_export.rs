//! The metrics that Prometheus reads: the counters, and gauges of the server's state at the moment of reading. Counts
//! nothing itself.

use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::server_state::ServerState;

/// Gauges of the server's state, collected whenever the metrics are read.
#[derive(Debug)]
struct StateGauges(Arc<ServerState>);

/// All metrics of a server that was started at `start`, under their exported names.
#[must_use]
pub fn build_registry(state: Arc<ServerState>, start: SystemTime) -> Registry {
    let mut registry = Registry::default();
    let start = start.duration_since(UNIX_EPOCH).unwrap_or_default();
    registry.register(
        "process_start_time_seconds",
        "Start time of the server, in seconds since 1970",
        ConstGauge::new(start.as_secs_f64()),
    );
    let quiver = registry.sub_registry_with_prefix("quiver");
    let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    quiver.register("build", "The version of the server", version);
    state.metrics.register(quiver);
    quiver.register_collector(Box::new(StateGauges(state)));
    registry
}

impl Collector for StateGauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(state) = self;
        let dropped = ConstCounter::new(state.log.dropped_lines());
        let help = "Log lines that standard error did not take";
        let kind = dropped.metric_type();
        dropped.encode(encoder.encode_descriptor("log_lines_dropped", help, None, kind)?)?;
        let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, value: usize| {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)
        };
        let (client_count, max_clients) =
            (state.registry.client_count(), state.registry.max_clients());
        gauge("clients", "Clients that hold a slot", None, client_count)?;
        gauge("max_clients", "All slots", None, max_clients)?;
        let listeners = state.registry.listener_count();
        gauge("listeners", "Connections that take introductions", None, listeners)?;
        let introductions = state.introductions.count(Instant::now());
        gauge("introductions_open", "Introductions that have not ended", None, introductions)?;
        let closing = state.closing.len();
        gauge("leaving", "Connections that said goodbye and are not closed yet", None, closing)?;
        let Some(kept) = state.files.resumable_uploads() else { return Ok(()) };
        let bytes = usize::try_from(kept.bytes).unwrap_or(usize::MAX);
        gauge("kept_parts", "Interrupted uploads that can be resumed", None, kept.count)?;
        gauge("kept_parts", "Content of interrupted uploads", Some(&Unit::Bytes), bytes)
    }
}
