//! The log lines of transfers. Measures nothing.

use std::fmt;
use std::time::Duration;

use quiver_protocol::text::display_remark;
use quiver_protocol::units;
use quiver_transfer::TransferBottleneck;
use quiver_transport::PathFacts;
use tracing::info;

use crate::metrics::{CLIENT, TransferDirection};

/// An ended transfer. Its path and client are safe to show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransferLog<'a> {
    /// Whether the server sent or received the content.
    pub(crate) direction: TransferDirection,
    /// The file's path.
    pub(crate) path: &'a str,
    /// `Client 1: Ron`
    pub(crate) client: &'a str,
    /// Bytes of content that were sent or received; a resumed prefix does not count.
    pub(crate) moved: u64,
    /// How long the transfer took.
    pub(crate) duration: Duration,
    /// The path at its end; `None` if it has no rate.
    pub(crate) path_facts: Option<PathFacts>,
}

struct TransferWords {
    done: &'static str,
    preposition: &'static str,
    moved: &'static str,
}

impl TransferLog<'_> {
    /// Logs that the receiver verified and flushed all `size` bytes.
    pub(crate) fn succeeded(&self, size: u64, bottleneck: Option<TransferBottleneck>) {
        let TransferWords { done, preposition, .. } = self.words();
        let Self { path, client, .. } = self;
        let limit = bottleneck.map_or_else(String::new, |bottleneck| {
            format!(", limited by {}", bottleneck.describe(CLIENT))
        });
        let size = units::bytes(size);
        let facts = self.facts();
        info!("{done} {path} ({size}) {preposition} {client}: {self}{limit}{facts}");
    }

    /// Logs that the transfer failed for this reason, which may contain text of the client.
    pub(crate) fn failed(&self, reason: &str) {
        let TransferWords { done, preposition, .. } = self.words();
        let Self { path, client, .. } = self;
        let (reason, facts) = (display_remark(reason), self.facts());
        info!("not {done}: {path} {preposition} {client}: {reason}; {self}{facts}");
    }

    /// The path, as the end of the line.
    fn facts(&self) -> String {
        self.path_facts.map_or_else(String::new, |facts| format!("; {facts}"))
    }

    fn words(&self) -> TransferWords {
        match self.direction {
            TransferDirection::Get => {
                TransferWords { done: "delivered", preposition: "to", moved: "sent" }
            }
            TransferDirection::Put => {
                TransferWords { done: "stored", preposition: "from", moved: "received" }
            }
        }
    }
}

/// A transfer of less content, and of less time, has no meaningful rate.
const MIN_RATED_BYTES: u64 = 1_000_000;
const MIN_RATED_TIME: Duration = Duration::from_millis(100);

/// Whether a transfer has a meaningful rate.
pub(crate) fn is_rated(moved: u64, duration: Duration) -> bool {
    moved >= MIN_RATED_BYTES || duration >= MIN_RATED_TIME
}

/// `received 1.0 MB in 0.012 s, 87.4 MB/s`
impl fmt::Display for TransferLog<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, seconds) = (units::bytes(self.moved), self.duration.as_secs_f64());
        let TransferWords { moved, .. } = self.words();
        write!(f, "{moved} {bytes} in {seconds:.3} s")?;
        if !is_rated(self.moved, self.duration) {
            return Ok(());
        }
        write!(f, ", {}", units::average_rate(self.moved, self.duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tiny_file_has_no_rate() {
        let text = |moved, milliseconds| {
            let direction = TransferDirection::Put;
            let duration = Duration::from_millis(milliseconds);
            let (path, client, path_facts) = ("a", "c", None);
            TransferLog { direction, path, client, moved, duration, path_facts }.to_string()
        };
        assert_eq!(text(1, 2), "received 1 B in 0.002 s");
        assert_eq!(text(999_999, 99), "received 1.0 MB in 0.099 s");
        assert_eq!(text(1_000_000, 10), "received 1.0 MB in 0.010 s, 100.0 MB/s");
        assert_eq!(text(50_000, 500), "received 50.0 kB in 0.500 s, 100.0 kB/s");
    }
}
