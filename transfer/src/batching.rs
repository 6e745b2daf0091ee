//! How many blocks go to a blocking thread at once, or wait for one.
//!
//! Each step on another thread wakes two of them, which costs about what 100 KiB of content cost. So where few
//! transfers run, each takes several blocks along. Where there are many, each holds as little as it can.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Blocks that a transfer reads in one step while few others run: 512 KiB, half of what may be on its way, so
/// that one half is read while the other leaves. A get is 6 % slower with four blocks, and a put no faster.
pub(crate) const READ: usize = 2;

/// Blocks of such a transfer that may wait to be written while the next one fills. What was taken from the
/// network and not yet written is lost where a process is killed, and has to be sent again: 768 KiB with these.
pub(crate) const BEHIND: usize = 2;

/// So many transfers at once may take several blocks along: together they hold 4 MiB more than they
/// would one by one.
const FEW: usize = 4;

/// Transfers of this process that run now.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Whether content moves in this process now.
#[must_use]
pub fn has_active_transfers() -> bool {
    RUNNING.load(Ordering::Relaxed) > 0
}

/// A transfer among those that run; over when dropped.
#[derive(Debug)]
pub(crate) struct ActiveTransfers(());

impl ActiveTransfers {
    pub(crate) fn join() -> Self {
        RUNNING.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// How many blocks its next step takes along: `most` where few others run.
    // Not a constant of the transfer: how many run changes while it does.
    #[expect(clippy::unused_self, reason = "only those that are counted may ask")]
    pub(crate) fn blocks(&self, most: usize) -> usize {
        if RUNNING.load(Ordering::Relaxed) <= FEW { most } else { 1 }
    }
}

impl Drop for ActiveTransfers {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}
