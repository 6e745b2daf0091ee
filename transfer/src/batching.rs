//! How many blocks a transfer passes to a blocking thread in one step.
//!
//! Each step on another thread wakes two threads, which costs about as much as transferring 100 KiB
//! of content. So a transfer moves several blocks in a step while few transfers run. While many
//! run, each holds as little memory as it can.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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

/// Content moves if a step has started within this time. The transfer of a client that was killed runs until its
/// connection is lost, and must not slow down the client's next one.
const MOVING: Duration = Duration::from_millis(250);

/// Number of running transfers of this process.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// When the last step of any transfer started, in milliseconds since `START`.
static LAST_STEP: AtomicU64 = AtomicU64::new(0);
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Whether any transfer of this process is moving content.
#[must_use]
pub fn has_active_transfers() -> bool {
    RUNNING.load(Ordering::Relaxed) > 0
        && START.elapsed() < MOVING + Duration::from_millis(LAST_STEP.load(Ordering::Relaxed))
}

/// Counts one transfer as running until it is dropped.
#[derive(Debug)]
pub(crate) struct ActiveTransfers(());

impl ActiveTransfers {
    pub(crate) fn register() -> Self {
        RUNNING.fetch_add(1, Ordering::Relaxed);
        let registered = Self(());
        // Small files have no other step.
        registered.note_step();
        registered
    }

    /// Notes that content moves: once for each step.
    #[expect(clippy::unused_self, reason = "only a counted transfer moves content")]
    pub(crate) fn note_step(&self) {
        let now = u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX);
        LAST_STEP.store(now, Ordering::Relaxed);
    }

    /// How many blocks the next step may have: `max` while few transfers run, else 1.
    // Evaluated for each step, because the number of running transfers changes.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_active_while_its_content_moves() {
        let active = ActiveTransfers::register();
        assert!(has_active_transfers());
        // Those of other tests end as well.
        let deadline = Instant::now() + Duration::from_secs(60);
        while has_active_transfers() {
            assert!(Instant::now() < deadline, "active without a step");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        active.note_step();
        assert!(has_active_transfers());
    }
}
