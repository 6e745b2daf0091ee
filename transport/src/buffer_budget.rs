//! Memory that connections use only for a while: one budget for all connections of a process,
//! reserved before it is used. Knows nothing of what the memory is for.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of one permit.
const UNIT: usize = 1024;

/// A budget of memory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BufferBudget {
    units: Arc<Semaphore>,
    total_units: usize,
}

/// Reserved memory of a budget. Dropping it releases the memory.
#[derive(Debug)]
pub struct BufferReservation {
    budget: BufferBudget,
    units: OwnedSemaphorePermit,
}

impl BufferBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes).unwrap_or(usize::MAX) / UNIT;
        let total_units = units.min(Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(total_units)), total_units }
    }

    /// The bytes of the whole budget.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total_units as u64 * UNIT as u64
    }

    /// The bytes that are not reserved now.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.units.available_permits() as u64 * UNIT as u64
    }

    /// A reservation of nothing yet, which can [grow](BufferReservation::try_grow).
    #[must_use]
    pub fn reserve_nothing(&self) -> BufferReservation {
        #[expect(clippy::expect_used, reason = "no permits are always available")]
        let units = self.units.clone().try_acquire_many_owned(0).expect("an open semaphore");
        BufferReservation { budget: self.clone(), units }
    }

    /// Reserves so many bytes, rounded up to KiB; waits until they are available.
    pub async fn reserve(&self, bytes: usize) -> BufferReservation {
        let units = self.units.clone().acquire_many_owned(units_of(bytes)).await;
        #[expect(clippy::expect_used, reason = "the semaphore is never closed")]
        let units = units.expect("an open semaphore");
        BufferReservation { budget: self.clone(), units }
    }
}

impl BufferReservation {
    /// The reserved bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.units.num_permits() * UNIT
    }

    /// Reserves so many bytes more if they are available now; returns whether they were.
    pub fn try_grow(&mut self, bytes: usize) -> bool {
        match self.budget.units.clone().try_acquire_many_owned(units_of(bytes)) {
            Ok(more) => {
                self.units.merge(more);
                true
            }
            Err(_) => false,
        }
    }

    /// Releases all but so many bytes, rounded up to KiB.
    pub fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.units.num_permits().saturating_sub(bytes.div_ceil(UNIT));
        drop(self.units.split(surplus));
    }
}

fn units_of(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_dropped_reservation_is_available_again() {
        let budget = BufferBudget::new(4096);
        let mut first = budget.reserve(1000).await;
        assert_eq!(first.bytes(), 1024);
        assert!(first.try_grow(2048) && !first.try_grow(2048));
        assert_eq!(first.bytes(), 3072);
        let waiting = budget.reserve(2048);
        tokio::pin!(waiting);
        assert!(timeout(Duration::ZERO, waiting.as_mut()).await.is_err());
        drop(first);
        assert_eq!(timeout(DEADLINE, waiting).await.unwrap().bytes(), 2048);
    }

    #[test]
    fn a_reservation_that_shrinks_frees_the_difference() {
        let budget = BufferBudget::new(4096);
        let mut reservation = budget.reserve_nothing();
        assert!(reservation.try_grow(3000));
        assert_eq!((reservation.bytes(), budget.free(), budget.total()), (3072, 1024, 4096));
        reservation.shrink_to(1500);
        assert_eq!((reservation.bytes(), budget.free()), (2048, 2048));
        reservation.shrink_to(4000);
        assert_eq!(reservation.bytes(), 2048);
        drop(reservation);
        assert_eq!(budget.free(), 4096);
    }
}
