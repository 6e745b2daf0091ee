//! A file on its way, of which the log says what became of it and the metrics count it: also where the
//! command is cut off, as by the end of its connection. Knows nothing of streams.

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
use crate::transfer_log::TransferLog;

/// From its first byte to its last word.
pub(super) struct TransferRecord {
    direction: TransferDirection,
    path: String,
    /// `ClientLabel 1: Ron`
    client: String,
    began: Instant,
    /// Bytes of content that moved: none of those that were there before.
    moved: AtomicU64,
    settled: bool,
    metrics: Arc<Metrics>,
}

impl TransferRecord {
    pub(super) fn begin(context: &Context, direction: TransferDirection, path: &FilePath) -> Self {
        context.metrics().start_transfer(direction);
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

    /// The same error, once it is logged and counted.
    pub(super) fn fail<E: Display>(self, reason: E) -> E {
        self.failed(&reason);
        reason
    }

    fn took(&self) -> Duration {
        self.began.elapsed()
    }

    fn has_failed(&self, reason: &dyn Display) {
        self.metrics.fail_transfer(self.direction);
        self.log().failed(&reason.to_string());
    }

    fn log(&self) -> TransferLog<'_> {
        TransferLog {
            direction: self.direction,
            path: &self.path,
            client: &self.client,
            moved: self.bytes(),
            took: self.took(),
        }
    }

    fn bytes(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }
}

impl Observer for TransferRecord {
    fn moved(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
        self.metrics.count_content(self.direction, bytes);
    }

    fn succeeded(mut self, size: u64, limited_by: Option<TransferBottleneck>) {
        self.settled = true;
        self.metrics.finish_transfer(self.direction, self.bytes(), self.took(), limited_by);
        self.log().succeeded(size, limited_by);
    }

    fn failed(mut self, reason: &dyn Display) {
        self.settled = true;
        self.has_failed(reason);
    }
}

impl Drop for TransferRecord {
    fn drop(&mut self) {
        if !self.settled {
            self.has_failed(&"broken off");
        }
    }
}
