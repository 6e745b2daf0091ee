//! A file on its way, of which the log says what became of it and the metrics count it: also where the
//! command is cut off, as by the end of its connection. Knows nothing of streams.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quiver_protocol::FilePath;
use quiver_protocol::text::display_safe;
use quiver_transfer::Bottleneck;

use super::context::Context;
use crate::metrics::{Direction, Metrics};
use crate::transfer_log::TransferLog;

/// From its first byte to its last word.
pub(super) struct Transfer {
    direction: Direction,
    path: String,
    /// `Client 1: Ron`
    client: String,
    began: Instant,
    /// Bytes of content that moved: none of those that were there before.
    moved: AtomicU64,
    settled: bool,
    metrics: Arc<Metrics>,
}

impl Transfer {
    pub(super) fn begin(context: &Context, direction: Direction, path: &FilePath) -> Self {
        context.metrics().transfer_begins(direction);
        Self {
            direction,
            path: display_safe(path.as_str()).into_owned(),
            client: context.client.to_string(),
            began: Instant::now(),
            moved: AtomicU64::new(0),
            settled: false,
            metrics: context.metrics().clone(),
        }
    }

    /// So many bytes more of its content have moved.
    pub(super) fn moves(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
        self.metrics.moved(self.direction, bytes);
    }

    pub(super) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// All of its `size` bytes are where they were to go, verified and flushed.
    pub(super) fn succeeded(mut self, size: u64, limited_by: Option<Bottleneck>) {
        self.settled = true;
        self.metrics.transfer_verified(self.direction, self.moved(), self.took(), limited_by);
        self.log().succeeded(size, limited_by);
    }

    /// The same error, once the log knows.
    pub(super) fn failed<E: Display>(mut self, reason: E) -> E {
        self.settled = true;
        self.has_failed(&reason);
        reason
    }

    fn has_failed(&self, reason: &dyn Display) {
        self.metrics.transfer_failed(self.direction);
        self.log().failed(&reason.to_string());
    }

    fn log(&self) -> TransferLog<'_> {
        TransferLog {
            direction: self.direction,
            path: &self.path,
            client: &self.client,
            moved: self.moved(),
            took: self.took(),
        }
    }

    fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if !self.settled {
            self.has_failed(&"broken off");
        }
    }
}
