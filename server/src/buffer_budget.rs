//! Memory for answers that wait to be read: one budget for all connections, reserved before it is used.
//! Knows nothing of what is kept in it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one permit stands for, in bytes.
const UNIT: usize = 1024;

/// The budget. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BufferBudget {
    units: Arc<Semaphore>,
}

/// A part of the budget; dropped, it is given back.
#[derive(Debug)]
pub struct BufferReservation {
    budget: BufferBudget,
    units: OwnedSemaphorePermit,
}

impl BufferBudget {
    /// Of so many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes).unwrap_or(usize::MAX) / UNIT;
        Self { units: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))) }
    }

    /// Reserves so many bytes, rounded up to KiB; waits until others have given them back.
    pub async fn reserve(&self, bytes: usize) -> BufferReservation {
        let units = self.units.clone().acquire_many_owned(units_of(bytes)).await;
        #[expect(clippy::expect_used, reason = "the semaphore is never closed")]
        let units = units.expect("an open semaphore");
        BufferReservation { budget: self.clone(), units }
    }
}

impl BufferReservation {
    /// How many bytes it has.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.units.num_permits() * UNIT
    }

    /// Reserves so many bytes more, if they are free now; whether they were.
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
    async fn what_is_reserved_is_given_back() {
        let budget = BufferBudget::new(4096);
        let mut first = budget.reserve(1000).await;
        assert_eq!(first.bytes(), 1024);
        assert!(first.try_grow(2048) && !first.try_grow(2048));
        assert_eq!(first.bytes(), 3072);
        let waits = budget.reserve(2048);
        tokio::pin!(waits);
        assert!(timeout(Duration::ZERO, waits.as_mut()).await.is_err());
        drop(first);
        assert_eq!(timeout(DEADLINE, waits).await.unwrap().bytes(), 2048);
    }
}
