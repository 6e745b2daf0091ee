//! Logs and counts a transfer's result, also if its command is dropped, as when its connection
//! ends. Knows nothing of streams.

mod error;

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quiver_protocol::FilePath;
use quiver_protocol::text::display_safe;
use quiver_transfer::{Observer, TransferBottleneck};

use super::context::Context;
use crate::metrics::{Metrics, TransferDirection};
use crate::packet_count::PacketCount;
use crate::transfer_log::{TransferLog, is_rated};

/// A running transfer, for the log and the metrics.
pub(super) struct TransferRecord {
    direction: TransferDirection,
    path: String,
    /// `Client 1: Ron`
    client: String,
    started: Instant,
    /// Bytes of content that were sent or received; a resumed prefix does not count.
    moved: AtomicU64,
    is_settled: bool,
    metrics: Arc<Metrics>,
    packets: Arc<PacketCount>,
}

impl TransferRecord {
    pub(super) fn start(context: &Context, direction: TransferDirection, path: &FilePath) -> Self {
        context.metrics().start_transfer(direction);
        Self {
            direction,
            path: display_safe(path.as_str()).into_owned(),
            client: context.client.to_string(),
            started: Instant::now(),
            moved: AtomicU64::new(0),
            is_settled: false,
            metrics: context.metrics().clone(),
            packets: context.packets.clone(),
        }
    }

    /// Logs and counts the failure; returns its reason.
    pub(super) fn fail<E: Display>(self, reason: E) -> E {
        self.failed(&reason);
        reason
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn record_failure(&self, reason: &dyn Display) {
        self.metrics.fail_transfer(self.direction);
        self.log().failed(&reason.to_string());
    }

    fn log(&self) -> TransferLog<'_> {
        let (moved, duration) = (self.bytes(), self.elapsed());
        TransferLog {
            direction: self.direction,
            path: &self.path,
            client: &self.client,
            moved,
            duration,
            path_facts: is_rated(moved, duration).then(|| self.packets.update()),
        }
    }

    fn bytes(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }
}

impl Observer for TransferRecord {
    fn transferred(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
        self.metrics.count_content(self.direction, bytes);
    }

    fn succeeded(mut self, size: u64, limited_by: Option<TransferBottleneck>) {
        self.is_settled = true;
        self.metrics.finish_transfer(self.direction, self.bytes(), self.elapsed(), limited_by);
        self.log().succeeded(size, limited_by);
    }

    fn failed(mut self, reason: &dyn Display) {
        self.is_settled = true;
        self.record_failure(reason);
    }
}

impl Drop for TransferRecord {
    fn drop(&mut self) {
        if !self.is_settled {
            self.record_failure(&"interrupted");
        }
    }
}
