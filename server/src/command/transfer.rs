//! A file on its way, of which the log says what became of it and the metrics count it: also where the
//! command is cut off, as by the end of its connection. Knows nothing of streams.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quiver_protocol::FilePath;
use quiver_protocol::text::{display_remark, display_safe};
use quiver_transfer::Bottleneck;
use tracing::info;

use crate::metrics::Direction;
use crate::server::Shared;
use crate::session::member::Context;

/// What the other end is called where it limited a transfer.
pub(crate) const CLIENT: &str = "client";

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
    shared: Arc<Shared>,
}

/// How the log speaks of a direction.
struct Words {
    done: &'static str,
    way: &'static str,
    moved: &'static str,
}

impl Transfer {
    pub(super) fn begin(context: &Context, direction: Direction, path: &FilePath) -> Self {
        context.shared.metrics.transfer_begins(direction);
        Self {
            direction,
            path: display_safe(path.as_str()).into_owned(),
            client: format!("Client {}: {}", context.number, context.name),
            began: Instant::now(),
            moved: AtomicU64::new(0),
            settled: false,
            shared: context.shared.clone(),
        }
    }

    /// So many bytes more of its content have moved.
    pub(super) fn moves(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
        self.shared.metrics.moved(self.direction, bytes);
    }

    pub(super) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// All of its `size` bytes are where they were to go, verified and flushed.
    pub(super) fn succeeded(mut self, size: u64, limited_by: Option<Bottleneck>) {
        self.settled = true;
        let metrics = &self.shared.metrics;
        metrics.transfer_verified(self.direction, self.moved(), self.took(), limited_by);
        let Words { done, way, .. } = self.words();
        let Self { path, client, .. } = &self;
        let limit = limited_by
            .map_or_else(String::new, |limit| format!(", limited by {}", limit.words(CLIENT)));
        info!("{done} {path} ({size} bytes) {way} {client}: {}{limit}", self.what_moved());
    }

    /// The same error, once the log knows.
    pub(super) fn failed<E: Display>(mut self, reason: E) -> E {
        self.settled = true;
        self.has_failed(&reason);
        reason
    }

    fn has_failed(&self, reason: &dyn Display) {
        self.shared.metrics.transfer_failed(self.direction);
        let Words { done, way, .. } = self.words();
        let Self { path, client, .. } = self;
        let (reason, moved) = (reason.to_string(), self.what_moved());
        info!("not {done}: {path} {way} {client}: {}; {moved}", display_remark(&reason));
    }

    fn words(&self) -> Words {
        match self.direction {
            Direction::Get => Words { done: "delivered", way: "to", moved: "went" },
            Direction::Put => Words { done: "stored", way: "from", moved: "came" },
        }
    }

    fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// `1048576 bytes came in 0.012 s, 87.4 MB/s`
    fn what_moved(&self) -> String {
        let (bytes, seconds) = (self.moved(), self.took().as_secs_f64());
        let rate = bytes as f64 / seconds.max(1e-6) / 1e6;
        let Words { moved, .. } = self.words();
        format!("{bytes} bytes {moved} in {seconds:.3} s, {rate:.1} MB/s")
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if !self.settled {
            self.has_failed(&"broken off");
        }
    }
}
