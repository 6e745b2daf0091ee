//! The controller with a model of the path, for quinn.

use std::any::Any;
use std::time::{Duration, Instant};

use quinn::congestion::{Controller, ControllerMetrics};
use quinn_proto::RttEstimator;

use super::model::Model;
use crate::random::random_bytes;

/// Bytes in flight before anything is known of the path.
const INITIAL_WINDOW: u64 = 32 * 1200;

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

/// Gives the events of a connection to its model.
#[derive(Debug, Clone)]
struct ModelController(Model);

/// A controller for a new path.
pub(super) fn build_model(now: Instant, mtu: u16) -> Box<dyn Controller> {
    let seed = u64::from_le_bytes(random_bytes());
    Box::new(ModelController(Model::new(now, mtu, INITIAL_WINDOW, seed)))
}

/// The report of a controller that [`build_model`] has made; `None` for any other.
pub(super) fn model_report(controller: Box<dyn Controller>) -> Option<ModelReport> {
    let ModelController(model) = *controller.into_any().downcast().ok()?;
    Some(ModelReport {
        delivery_rate: model.delivery_rate(),
        lowest_round_trip: model.lowest_round_trip(),
        phase: Some(model.phase_name()),
    })
}

impl Controller for ModelController {
    fn on_sent(&mut self, now: Instant, bytes: u64, _last_packet_number: u64) {
        self.0.on_sent(now, bytes);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        _app_limited: bool,
        _rtt: &RttEstimator,
    ) {
        self.0.on_acked(now, sent, bytes);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        _largest_packet_num_acked: Option<u64>,
    ) {
        self.0.on_acks_end(now, in_flight, app_limited);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        _sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        // quinn reports marks of ECN as events without lost bytes.
        if lost_bytes == 0 && !is_persistent_congestion {
            self.0.on_marked(now);
        } else {
            self.0.on_lost(lost_bytes, is_persistent_congestion);
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.0.set_packet(new_mtu);
    }

    fn window(&self) -> u64 {
        self.0.window()
    }

    fn metrics(&self) -> ControllerMetrics {
        let mut metrics = ControllerMetrics::default();
        metrics.congestion_window = self.window();
        metrics.pacing_rate = self.0.delivery_rate().map(|rate| rate * 8);
        metrics
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        INITIAL_WINDOW
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
