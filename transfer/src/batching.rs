//! How many blocks a transfer passes to a blocking thread in one step.
//!
//! Each step on another thread wakes two threads, which costs about as much as transferring 100 KiB
//! of content. So a transfer moves several blocks in a step while few transfers run. While many
//! run, each holds as little memory as it can.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Blocks that a transfer reads in one step while few transfers run: 512 KiB, half of what may be
/// in flight, so that one half is read while the other is sent. With four blocks a get is 6 %
/// slower, and a put no faster.
pub(crate) const READ_BLOCKS: usize = 2;

/// Blocks that may wait to be written while the next one fills, while few transfers run. If the
/// process is killed, received blocks that are not yet written are lost and have to be sent again:
/// 768 KiB with this value.
pub(crate) const UNWRITTEN_BLOCKS: usize = 2;

/// Maximum number of transfers for which a step may have several blocks. Together they hold 4 MiB
/// more than with one block each.
const FEW_TRANSFERS: usize = 4;

/// Number of active transfers of this process.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Whether any transfer of this process is moving content.
#[must_use]
pub fn has_active_transfers() -> bool {
    RUNNING.load(Ordering::Relaxed) > 0
}

/// Counts one transfer as active until it is dropped.
#[derive(Debug)]
pub(crate) struct ActiveTransfers(());

impl ActiveTransfers {
    pub(crate) fn register() -> Self {
        RUNNING.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// How many blocks the next step may have: `max` while few transfers run, else 1.
    // Evaluated for each step, because the number of active transfers changes.
    #[expect(clippy::unused_self, reason = "only a counted transfer may batch its blocks")]
    pub(crate) fn batch_size(&self, max: usize) -> usize {
        if RUNNING.load(Ordering::Relaxed) <= FEW_TRANSFERS { max } else { 1 }
    }
}

impl Drop for ActiveTransfers {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}
