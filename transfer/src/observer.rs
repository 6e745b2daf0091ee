//! What a transfer tells the end that runs it, as numbers. Knows no words for people, no log and no counters.

use std::fmt::Display;

use crate::TransferBottleneck;

/// Hears how a transfer goes at this end. One that is dropped before it heard of an end was cut off, as by
/// the loss of its connection.
pub trait Observer: Send + Sync + 'static {
    /// So many more bytes of content were sent or received. Called for each block; must not block.
    fn transferred(&self, bytes: u64);

    /// All `size` bytes of the file are stored at the receiver, verified and flushed.
    fn succeeded(self, size: u64, limited_by: Option<TransferBottleneck>);

    /// The file is not stored, or it is not known to be.
    fn failed(self, reason: &dyn Display);
}

/// Nothing is to be told.
impl Observer for () {
    fn transferred(&self, _bytes: u64) {}

    fn succeeded(self, _size: u64, _limited_by: Option<TransferBottleneck>) {}

    fn failed(self, _reason: &dyn Display) {}
}
