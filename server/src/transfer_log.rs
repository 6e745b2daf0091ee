//! The words of the log for transfers. Measures nothing.

use std::fmt;
use std::time::Duration;

use quiver_protocol::text::display_remark;
use quiver_transfer::TransferBottleneck;
use tracing::info;

use crate::metrics::{CLIENT, TransferDirection};

/// A transfer that has ended. Path and client are safe to show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransferLog<'a> {
    /// Which way the content went.
    pub(crate) direction: TransferDirection,
    /// The file's path.
    pub(crate) path: &'a str,
    /// `ClientLabel 1: Ron`
    pub(crate) client: &'a str,
    /// Bytes of content that moved: none of those that were stored before.
    pub(crate) moved: u64,
    /// How long it took.
    pub(crate) took: Duration,
}

struct TransferWords {
    done: &'static str,
    way: &'static str,
    moved: &'static str,
}

impl TransferLog<'_> {
    /// All of its `size` bytes were verified and flushed by the receiver.
    pub(crate) fn succeeded(&self, size: u64, limited_by: Option<TransferBottleneck>) {
        let TransferWords { done, way, .. } = self.words();
        let Self { path, client, .. } = self;
        let limit = limited_by
            .map_or_else(String::new, |limit| format!(", limited by {}", limit.words(CLIENT)));
        info!("{done} {path} ({size} bytes) {way} {client}: {self}{limit}");
    }

    /// It failed for this reason, which may hold text of the client.
    pub(crate) fn failed(&self, reason: &str) {
        let TransferWords { done, way, .. } = self.words();
        let Self { path, client, .. } = self;
        info!("not {done}: {path} {way} {client}: {}; {self}", display_remark(reason));
    }

    fn words(&self) -> TransferWords {
        match self.direction {
            TransferDirection::Get => TransferWords { done: "delivered", way: "to", moved: "went" },
            TransferDirection::Put => TransferWords { done: "stored", way: "from", moved: "came" },
        }
    }
}

/// `1048576 bytes came in 0.012 s, 87.4 MB/s`
impl fmt::Display for TransferLog<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, seconds) = (self.moved, self.took.as_secs_f64());
        let rate = bytes as f64 / seconds.max(1e-6) / 1e6;
        let TransferWords { moved, .. } = self.words();
        write!(f, "{bytes} bytes {moved} in {seconds:.3} s, {rate:.1} MB/s")
    }
}
