//! The metrics as Prometheus reads them: what is counted, and beside it the state of the server at the moment
//! of reading. Counts nothing itself.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::shared::ServerState;

/// The state of the server, collected whenever the metrics are read.
#[derive(Debug)]
struct CurrentState(Arc<ServerState>);

/// All metrics of a server that was started at `started`, under the names that people see.
#[must_use]
pub fn registry(shared: Arc<ServerState>, started: SystemTime) -> Registry {
    let mut registry = Registry::default();
    let started = started.duration_since(UNIX_EPOCH).unwrap_or_default();
    registry.register(
        "process_start_time_seconds",
        "When the server was started, in seconds since 1970",
        ConstGauge::new(started.as_secs_f64()),
    );
    let ours = registry.sub_registry_with_prefix("quiver");
    let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    ours.register("build", "What this server is", version);
    shared.metrics.register(ours);
    ours.register_collector(Box::new(CurrentState(shared)));
    registry
}

impl Collector for CurrentState {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(shared) = self;
        let dropped = ConstCounter::new(shared.log.dropped());
        let help = "Lines of the log that standard error did not take";
        let kind = dropped.metric_type();
        dropped.encode(encoder.encode_descriptor("log_lines_dropped", help, None, kind)?)?;
        let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, value: usize| {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)
        };
        let (connected, max) = (shared.registry.count(), shared.registry.max_clients());
        gauge("clients", "Clients that hold a slot", None, connected)?;
        gauge("max_clients", "Slots", None, max)?;
        let leaving = shared.leaving.len();
        gauge("leaving", "Connections that said goodbye and are not closed yet", None, leaving)?;
        let Some(kept) = shared.files.resumable_uploads() else { return Ok(()) };
        let bytes = usize::try_from(kept.bytes).unwrap_or(usize::MAX);
        gauge("kept_parts", "Uploads that were broken off and are kept", None, kept.count)?;
        gauge("kept_parts", "What of them is here", Some(&Unit::Bytes), bytes)
    }
}
