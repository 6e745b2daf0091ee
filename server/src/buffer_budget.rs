//! Memory for responses that clients have not read yet: one budget for all connections, reserved
//! before it is used. Knows nothing of the responses.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of one permit.
const UNIT: usize = 1024;

/// A budget of memory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BufferBudget {
    units: Arc<Semaphore>,
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
        Self { units: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))) }
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
}
