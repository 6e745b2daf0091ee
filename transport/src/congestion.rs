//! Congestion control that does not hold back a connection's last packet.
//!
//! quinn-proto up to 0.11.19 never sends CONNECTION_CLOSE where the congestion window is full at that
//! moment (quinn-rs/quinn issue 2785, mended after that release): the other side then waits for its
//! idle timeout. RFC 9002 (7) counts no such packet as in flight. So from the decision to close on the
//! window is open; all else is left to the controller within. To be removed with the next release.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use quinn::Connection;
use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};
use quinn_proto::RttEstimator;

/// Makes controllers that open together, and also one by one.
#[derive(Debug, Clone, Default)]
pub(crate) struct CloseAwareCongestion {
    cubic: Arc<CubicConfig>,
    all_close: Arc<AtomicBool>,
}

/// One connection's controller.
struct CloseAwareController {
    within: Box<dyn Controller>,
    closes: Arc<AtomicBool>,
    all_close: Arc<AtomicBool>,
}

impl CloseAwareCongestion {
    /// Every connection is about to be closed.
    pub(crate) fn open_all(&self) {
        self.all_close.store(true, Ordering::Relaxed);
    }
}

/// This connection is about to be closed.
pub(crate) fn open(connection: &Connection) {
    if let Ok(controller) =
        connection.congestion_state().into_any().downcast::<CloseAwareController>()
    {
        controller.closes.store(true, Ordering::Relaxed);
    }
}

impl ControllerFactory for CloseAwareCongestion {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(CloseAwareController {
            within: self.cubic.clone().build(now, current_mtu),
            closes: Arc::default(),
            all_close: self.all_close.clone(),
        })
    }
}

impl CloseAwareController {
    fn is_open(&self) -> bool {
        self.closes.load(Ordering::Relaxed) || self.all_close.load(Ordering::Relaxed)
    }
}

impl Controller for CloseAwareController {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.within.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &RttEstimator,
    ) {
        self.within.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        self.within.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.within.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.within.on_mtu_update(new_mtu);
    }

    /// Beyond what the pacer takes for a window, too: it then lets everything pass.
    fn window(&self) -> u64 {
        if self.is_open() { u64::MAX } else { self.within.window() }
    }

    fn metrics(&self) -> ControllerMetrics {
        self.within.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self {
            within: self.within.clone_box(),
            closes: self.closes.clone(),
            all_close: self.all_close.clone(),
        })
    }

    fn initial_window(&self) -> u64 {
        self.within.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
