//! How large the windows of the connections of a process may become: with memory of one budget, and
//! smaller after a connection has lost too many packets at once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use quinn::ConnectionError;

use crate::buffer_budget::{BufferBudget, BufferReservation};
use crate::close::ConnectionEnd;
use crate::role::{LARGEST_WINDOW, Role, SMALLEST_STREAM_WINDOW};

/// Memory for the windows of all connections of a client's process, in bytes.
const CLIENT_BUDGET: u64 = 256 * 1024 * 1024;

static PROCESS_BUDGET: LazyLock<BufferBudget> = LazyLock::new(|| BufferBudget::new(CLIENT_BUDGET));

/// The windows that connections of a process may have. Cheap to clone; clones share the budget.
#[derive(Debug, Clone)]
pub struct WindowPolicy {
    budget: BufferBudget,
    largest: Arc<AtomicU32>,
}

impl WindowPolicy {
    /// A policy whose connections take what they need above their base windows from this budget.
    #[must_use]
    pub fn new(budget: BufferBudget) -> Self {
        Self { budget, largest: Arc::new(AtomicU32::new(LARGEST_WINDOW)) }
    }

    /// The largest window of later connections, in bytes.
    #[must_use]
    pub fn largest_window(&self) -> u32 {
        self.largest.load(Ordering::Relaxed)
    }

    /// A reservation of nothing yet.
    pub(super) fn reserve_nothing(&self) -> BufferReservation {
        self.budget.reserve_nothing()
    }

    /// Makes the windows of later connections a quarter as large, because a connection has lost too
    /// many packets at once ([`ConnectionEnd::TooManyGaps`]).
    /// They never become smaller than is safe at any loss.
    pub fn reduce_windows(&self) {
        let reduce = |largest: u32| Some((largest / 4).max(SMALLEST_STREAM_WINDOW));
        // The closure always returns a value.
        let _ = self.largest.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reduce);
    }

    /// The bytes that a connection may claim, which has claimed `own` already: as many as stay free
    /// (dynamic thresholds; Choudhury and Hahne, 1998), so one connection gets half of the budget,
    /// two get a third each. The mean with `own` lets shares converge. A quarter of the budget is
    /// left to other uses.
    pub(super) fn share(&self, own: u64) -> u64 {
        let free = self.budget.free().saturating_sub(self.budget.total() / 4);
        (free + own) / 2
    }
}

/// Whether later connections need smaller windows, after a connection in this role ended for `reason`.
pub(super) fn asks_for_smaller_windows(role: Role, reason: ConnectionError) -> bool {
    let is_own_finding = matches!(reason, ConnectionError::TransportError(_));
    let is_believed = match role {
        // A server does not make the windows of all clients smaller because of the path of one.
        Role::Guest | Role::Member => false,
        // The server relies on it.
        Role::Client => true,
        // Another client must not make the windows to the server smaller. If it is honest, its own become smaller.
        Role::Peer => is_own_finding,
    };
    is_believed && ConnectionEnd::from(reason) == ConnectionEnd::TooManyGaps
}

impl Default for WindowPolicy {
    /// The policy of a client. All connections of its process share a budget of 256 MiB: enough for
    /// one that fills 1 Gbit/s at a round trip of 200 ms.
    fn default() -> Self {
        Self::new(PROCESS_BUDGET.clone())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use quinn::{ConnectionClose, TransportErrorCode};

    use super::*;

    const MIB: u64 = 1024 * 1024;

    /// What so many connections have after each of them has often taken its share.
    fn shares(budget: u64, connections: usize) -> Vec<u64> {
        let policy = WindowPolicy::new(BufferBudget::new(budget));
        let mut held: Vec<_> = (0..connections).map(|_| policy.reserve_nothing()).collect();
        for _ in 0..50 {
            for reservation in &mut held {
                let own = reservation.bytes();
                let share = policy.share(own as u64) as usize;
                let _ = reservation.try_grow(share.saturating_sub(own));
                reservation.shrink_to(share);
            }
        }
        held.iter().map(|reservation| reservation.bytes() as u64).collect()
    }

    #[test]
    fn connections_share_the_budget_and_leave_some_to_further_ones() {
        for (connections, share) in [(1, 192 * MIB), (3, 96 * MIB), (7, 48 * MIB)] {
            for held in shares(512 * MIB, connections) {
                assert!(held.abs_diff(share) < MIB, "{held} of {connections}");
            }
        }
    }

    #[test]
    fn only_a_server_is_believed_that_a_path_has_lost_too_many_packets() {
        let reason = "too many gaps in stream buffer";
        let own = || {
            let mut error =
                ConnectionError::TransportError(TransportErrorCode::INTERNAL_ERROR.into());
            if let ConnectionError::TransportError(error) = &mut error {
                error.reason = reason.into();
            }
            error
        };
        let reported = |reason: &'static str| {
            let error_code = TransportErrorCode::INTERNAL_ERROR;
            let reason = Bytes::from(reason);
            ConnectionError::ConnectionClosed(ConnectionClose {
                error_code,
                frame_type: None,
                reason,
            })
        };
        let believes = |role| {
            [
                asks_for_smaller_windows(role, own()),
                asks_for_smaller_windows(role, reported(reason)),
            ]
        };
        assert_eq!(believes(Role::Guest), [false, false]);
        assert_eq!(believes(Role::Member), [false, false]);
        assert_eq!(believes(Role::Client), [true, true]);
        assert_eq!(believes(Role::Peer), [true, false]);
        assert!(!asks_for_smaller_windows(Role::Client, reported("another reason")));
        assert!(!asks_for_smaller_windows(Role::Client, ConnectionError::TimedOut));
    }

    #[test]
    fn windows_become_smaller_step_by_step_for_all_clones() {
        let policy = WindowPolicy::default();
        let clone = policy.clone();
        let sizes: Vec<_> = (0..4)
            .map(|_| {
                policy.reduce_windows();
                u64::from(clone.largest_window()) / MIB
            })
            .collect();
        assert_eq!(sizes, [16, 4, 2, 2]);
    }
}
