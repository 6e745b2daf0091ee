//! Congestion control that always lets CONNECTION_CLOSE pass, and counts acknowledged bytes.
//!
//! quinn-proto up to 0.11.19 never sends CONNECTION_CLOSE if the congestion window is full at that
//! moment (quinn-rs/quinn issue 2785, fixed after that release), so the other side waits for its
//! idle timeout. RFC 9002 (7) does not count such a packet as in flight. So this controller removes
//! the limit of the congestion window once a connection is about to be closed, and otherwise
//! delegates to the controller that was chosen. To be removed with the next release of quinn-proto.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use quinn::Connection;
use quinn::congestion::{Controller, ControllerMetrics};
use quinn_proto::RttEstimator;

use super::{AcknowledgedBytes, CongestionAlgorithm};

/// The congestion controller of one connection.
pub(super) struct CloseAwareController {
    algorithm: CongestionAlgorithm,
    inner: Box<dyn Controller>,
    acknowledged: Arc<AcknowledgedBytes>,
    is_closing: Arc<AtomicBool>,
    are_all_closing: Arc<AtomicBool>,
}

/// Removes the congestion limit of a connection. To be called before it is closed.
pub(crate) fn remove_limit(connection: &Connection) {
    if let Some(controller) = controller(connection) {
        controller.is_closing.store(true, Ordering::Relaxed);
    }
}

/// The controller below the correction as it is now, and what it is; `None` for a connection of an
/// endpoint that is not ours.
pub(super) fn inner_controller(
    connection: &Connection,
) -> Option<(CongestionAlgorithm, Box<dyn Controller>)> {
    let CloseAwareController { algorithm, inner, .. } = *controller(connection)?;
    Some((algorithm, inner))
}

/// The counts of a connection's acknowledged bytes; `None` for a connection of an endpoint that is
/// not ours.
pub(crate) fn acknowledged_bytes(connection: &Connection) -> Option<Arc<AcknowledgedBytes>> {
    Some(controller(connection)?.acknowledged)
}

/// A copy of the controller of a connection, which shares its flags.
fn controller(connection: &Connection) -> Option<Box<CloseAwareController>> {
    connection.congestion_state().into_any().downcast().ok()
}

impl CloseAwareController {
    pub(super) fn new(
        algorithm: CongestionAlgorithm,
        inner: Box<dyn Controller>,
        acknowledged: Arc<AcknowledgedBytes>,
        are_all_closing: Arc<AtomicBool>,
    ) -> Self {
        Self { algorithm, inner, acknowledged, is_closing: Arc::default(), are_all_closing }
    }

    fn is_unlimited(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed) || self.are_all_closing.load(Ordering::Relaxed)
    }
}

impl Controller for CloseAwareController {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &RttEstimator,
    ) {
        self.acknowledged.add(bytes, app_limited);
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        self.inner.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.inner.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu_update(new_mtu);
    }

    /// `u64::MAX` without a limit: the pacer does not delay packets for a window that large either.
    fn window(&self) -> u64 {
        if self.is_unlimited() { u64::MAX } else { self.inner.window() }
    }

    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self {
            algorithm: self.algorithm,
            inner: self.inner.clone_box(),
            acknowledged: self.acknowledged.clone(),
            is_closing: self.is_closing.clone(),
            are_all_closing: self.are_all_closing.clone(),
        })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
