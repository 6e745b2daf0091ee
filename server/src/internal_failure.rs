//! Internal failures: the log gets the reason, and the client an id to look up in the log.

use std::fmt::Display;

use quiver_protocol::{Refusal, RefusalCode};
use tracing::error;

use crate::metrics::Metrics;

/// Logs and counts a failure of `operation`. The refusal names the failure's id, but not its reason.
pub(crate) fn report(metrics: &Metrics, operation: &str, reason: &dyn Display) -> Refusal {
    let id = metrics.count_failure();
    error!("failure {id}: {operation}: {reason}");
    let message = format!("the server failed; its log says why under failure {id}");
    Refusal::new(RefusalCode::Internal, message)
}
