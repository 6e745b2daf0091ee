//! The controller with a model of the path, for quinn.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::congestion::{Controller, ControllerFactory, CubicConfig};

/// What the model knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ModelReport {
    /// The rate at which the path delivers, in bytes a second.
    pub(super) delivery_rate: Option<u64>,
    /// The lowest round-trip time of the path.
    pub(super) lowest_round_trip: Option<Duration>,
    /// What the controller is doing.
    pub(super) phase: Option<&'static str>,
}

/// A controller for a new path. Until the model is merged, quinn's CUBIC: the only place that changes.
pub(super) fn build_model(now: Instant, mtu: u16) -> Box<dyn Controller> {
    Arc::<CubicConfig>::default().build(now, mtu)
}

/// The report of a controller that [`build_model`] has made; `None` for any other.
pub(super) fn model_report(_controller: Box<dyn Controller>) -> Option<ModelReport> {
    None
}
