//! What failed inside the server: the log says what, and the client an id to look for in the log.

use std::fmt::Display;

use quiver_protocol::{Refusal, RefusalCode};
use tracing::error;

use crate::metrics::Metrics;

/// Logs and counts the failure of `what`. The refusal names the failure's id, and not its reason.
pub(crate) fn report(metrics: &Metrics, what: &str, reason: &dyn Display) -> Refusal {
    let id = metrics.failed();
    error!("failure {id}: {what}: {reason}");
    let message = format!("the server failed; its log says why under failure {id}");
    Refusal::new(RefusalCode::Internal, message)
}
