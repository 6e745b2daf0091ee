//! What a transfer reports to its caller, as numbers. Knows no texts, no log and no counters.

use std::fmt::Display;

use crate::TransferBottleneck;

/// Is told how a transfer proceeds at this end. If it is dropped without an outcome, the transfer
/// was aborted, for instance by a lost connection.
pub trait Observer: Send + Sync + 'static {
    /// Reports that `bytes` more bytes of content were sent or received. Called for each block;
    /// must not block.
    fn transferred(&self, bytes: u64);

    /// Reports that all `size` bytes of the file are stored at the receiver, verified and flushed.
    fn succeeded(self, size: u64, limited_by: Option<TransferBottleneck>);

    /// Reports that the file is not stored, or may not be.
    fn failed(self, reason: &dyn Display);
}

/// Ignores all reports.
impl Observer for () {
    fn transferred(&self, _bytes: u64) {}

    fn succeeded(self, _size: u64, _limited_by: Option<TransferBottleneck>) {}

    fn failed(self, _reason: &dyn Display) {}
}
