//! How much content browsers may hand over. Only counts: knows no files.

/// Bytes that a file takes beside its content, so that the number of empty files is bounded too.
const FILE_COST: u64 = 4096;

/// The bytes of the spool, stored and announced.
#[derive(Debug)]
pub(super) struct SpoolQuota {
    limit: u64,
    /// What all files take that are stored, or are being received.
    reserved: u64,
    /// The part of that which belongs to files that are being received.
    unwritten: u64,
}

/// What a file takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SpoolCost(u64);

impl SpoolCost {
    /// The cost of a file of this size.
    pub(super) fn of_file(size: u64) -> Self {
        Self(size.saturating_add(FILE_COST))
    }

    /// The cost of both.
    pub(super) fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl SpoolQuota {
    /// At most `limit` bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, reserved: 0, unwritten: 0 }
    }

    /// Reserves space for a file that is about to be received, while the disk has `free` bytes. Returns whether it fits:
    /// the spool takes at most half of what would be free without it.
    pub(super) fn reserve(&mut self, cost: SpoolCost, free: u64) -> bool {
        let stored = self.reserved.saturating_sub(self.unwritten);
        let limit = self.limit.min(free.saturating_add(stored) / 2);
        let fits = self.reserved.checked_add(cost.0).is_some_and(|sum| sum <= limit);
        if fits {
            self.reserved += cost.0;
            self.unwritten += cost.0;
        }
        fits
    }

    /// A reserved file is not received.
    pub(super) fn cancel(&mut self, cost: SpoolCost) {
        self.unwritten = self.unwritten.saturating_sub(cost.0);
        self.release(cost);
    }

    /// A reserved file is stored.
    pub(super) fn store(&mut self, cost: SpoolCost) {
        self.unwritten = self.unwritten.saturating_sub(cost.0);
    }

    /// Counts files that an earlier run has stored.
    pub(super) fn add_stored(&mut self, cost: SpoolCost) {
        self.reserved = self.reserved.saturating_add(cost.0);
    }

    /// Stored files are removed.
    pub(super) fn release(&mut self, cost: SpoolCost) {
        self.reserved = self.reserved.saturating_sub(cost.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: u64 = u64::MAX;

    #[test]
    fn files_fit_until_the_limit_is_reached() {
        let cost = SpoolCost::of_file(1000);
        let mut quota = SpoolQuota::new(2 * (1000 + FILE_COST));
        assert!(quota.reserve(cost, PLENTY) && quota.reserve(cost, PLENTY));
        assert!(!quota.reserve(SpoolCost::of_file(0), PLENTY));
        quota.cancel(cost);
        assert!(quota.reserve(cost, PLENTY));
        quota.store(cost);
        quota.store(cost);
        assert!(!quota.reserve(cost, PLENTY));
        quota.release(cost);
        assert!(quota.reserve(cost, PLENTY));
        assert!(!quota.reserve(SpoolCost::of_file(u64::MAX), PLENTY));
    }

    #[test]
    fn half_of_the_free_space_stays_free() {
        let mut quota = SpoolQuota::new(u64::MAX);
        let cost = SpoolCost::of_file(100 * FILE_COST);
        assert!(!quota.reserve(cost, 201 * FILE_COST));
        assert!(quota.reserve(cost, 202 * FILE_COST));
        // Not written yet, so the free space is as before.
        assert!(!quota.reserve(SpoolCost::of_file(0), 202 * FILE_COST));
        quota.store(cost);
        assert!(!quota.reserve(SpoolCost::of_file(0), 101 * FILE_COST));
        assert!(quota.reserve(SpoolCost::of_file(0), 103 * FILE_COST));
    }

    #[test]
    fn content_of_earlier_runs_counts() {
        let mut quota = SpoolQuota::new(3 * FILE_COST);
        quota.add_stored(SpoolCost::default().plus(SpoolCost::of_file(FILE_COST)));
        assert!(quota.reserve(SpoolCost::of_file(0), PLENTY));
        assert!(!quota.reserve(SpoolCost::of_file(0), PLENTY));
    }
}
