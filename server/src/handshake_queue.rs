//! A bounded queue of connections that have not signed in yet, and of others that the server waits for. A new entry
//! in a full queue evicts the oldest one.
//!
//! Silent connections therefore never keep a real client out, and each costs no more than its ticket. Does not know
//! what its entries wait for.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

/// A queue with a capacity. A cheap handle.
#[derive(Debug, Clone)]
pub struct HandshakeQueue {
    shared: Arc<HandshakeQueueShared>,
}

#[derive(Debug)]
struct HandshakeQueueShared {
    capacity: usize,
    state: Mutex<HandshakeQueueState>,
}

#[derive(Debug, Default)]
struct HandshakeQueueState {
    next_id: u64,
    /// By age. Dropping a sender evicts its ticket.
    tickets: BTreeMap<u64, oneshot::Sender<()>>,
}

/// An entry of a queue. Dropping it frees the entry.
#[derive(Debug)]
pub struct Ticket {
    shared: Arc<HandshakeQueueShared>,
    id: u64,
    /// Closed when the ticket is evicted; no value is ever sent.
    eviction: oneshot::Receiver<()>,
}

impl HandshakeQueue {
    /// Creates a queue with `capacity` tickets, at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self { shared: Arc::new(HandshakeQueueShared { capacity, state: Mutex::default() }) }
    }

    /// Takes a ticket. In a full queue this evicts the oldest one.
    #[must_use]
    pub fn enter(&self) -> Ticket {
        let (sender, eviction) = oneshot::channel();
        let mut state = self.shared.lock();
        while state.tickets.len() >= self.shared.capacity {
            state.tickets.pop_first();
        }
        let id = state.next_id;
        state.next_id += 1;
        state.tickets.insert(id, sender);
        Ticket { shared: self.shared.clone(), id, eviction }
    }

    /// The number of tickets in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.lock().tickets.len()
    }

    /// Whether no ticket is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Ticket {
    /// Resolves when a newer ticket evicts this one.
    pub async fn evicted(&mut self) {
        let _ = (&mut self.eviction).await;
    }
}

impl HandshakeQueueShared {
    fn lock(&self) -> MutexGuard<'_, HandshakeQueueState> {
        self.state.lock()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.shared.lock().tickets.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    fn is_evicted(ticket: &mut Ticket) -> bool {
        ticket.eviction.try_recv() == Err(TryRecvError::Closed)
    }

    #[test]
    fn a_new_ticket_of_a_full_queue_evicts_the_oldest() {
        let queue = HandshakeQueue::new(2);
        let (mut first, mut second) = (queue.enter(), queue.enter());
        assert!(!is_evicted(&mut first));
        let mut third = queue.enter();
        assert!(is_evicted(&mut first) && !is_evicted(&mut second) && !is_evicted(&mut third));
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn a_dropped_ticket_frees_its_entry() {
        let queue = HandshakeQueue::new(2);
        let (mut first, second) = (queue.enter(), queue.enter());
        drop(second);
        let _third = queue.enter();
        assert!(!is_evicted(&mut first));
        drop(first);
        assert_eq!(queue.len(), 1);
    }
}
