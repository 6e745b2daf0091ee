//! A bounded queue for connections that have not signed in yet, and others that the server waits for: one more in a
//! full queue makes the oldest leave.
//!
//! So any number of silent connections never keeps a real client out, and none costs more than its ticket. Knows
//! nothing of what is waited for.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

/// A queue with a capacity.
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
    next: u64,
    /// By age. Dropping a sender takes the ticket away.
    waiting: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A position in a queue; dropped, it is free.
#[derive(Debug)]
pub struct Ticket {
    shared: Arc<HandshakeQueueShared>,
    id: u64,
    is_kept: oneshot::Receiver<()>,
}

impl HandshakeQueue {
    /// With `capacity` tickets, at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self { shared: Arc::new(HandshakeQueueShared { capacity, state: Mutex::default() }) }
    }

    /// Takes a ticket; in a full queue, the oldest one is lost.
    #[must_use]
    pub fn enter(&self) -> Ticket {
        let (sender, is_kept) = oneshot::channel();
        let mut state = self.shared.lock();
        while state.waiting.len() >= self.shared.capacity {
            state.waiting.pop_first();
        }
        let id = state.next;
        state.next += 1;
        state.waiting.insert(id, sender);
        Ticket { shared: self.shared.clone(), id, is_kept }
    }

    /// How many tickets are taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.lock().waiting.len()
    }

    /// Whether no ticket is taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Ticket {
    /// Resolves when the ticket is lost to a newer one.
    pub async fn lost(&mut self) {
        // Nothing is ever sent: only the end of the sender counts.
        let _ = (&mut self.is_kept).await;
    }
}

impl HandshakeQueueShared {
    fn lock(&self) -> MutexGuard<'_, HandshakeQueueState> {
        self.state.lock()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.shared.lock().waiting.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    fn is_lost(ticket: &mut Ticket) -> bool {
        ticket.is_kept.try_recv() == Err(TryRecvError::Closed)
    }

    #[test]
    fn the_oldest_makes_room_for_the_newest() {
        let queue = HandshakeQueue::new(2);
        let (mut first, mut second) = (queue.enter(), queue.enter());
        assert!(!is_lost(&mut first));
        let mut third = queue.enter();
        assert!(is_lost(&mut first) && !is_lost(&mut second) && !is_lost(&mut third));
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn a_dropped_ticket_makes_room_too() {
        let queue = HandshakeQueue::new(2);
        let (mut first, second) = (queue.enter(), queue.enter());
        drop(second);
        let _third = queue.enter();
        assert!(!is_lost(&mut first));
        drop(first);
        assert_eq!(queue.len(), 1);
    }
}
