//! A bounded place for strangers: whoever comes to a full one sends its oldest away.
//!
//! So that any number of silent connections never keeps a real client out, and none costs more than
//! its place. Knows nothing of what is waited for.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

/// A room with so many places.
#[derive(Debug, Clone)]
pub struct WaitingRoom {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// In the order of arrival. A sender that is dropped sends its guest away.
    waiting: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A place in a room; dropped means free.
#[derive(Debug)]
pub struct Place {
    shared: Arc<Shared>,
    id: u64,
    stays: oneshot::Receiver<()>,
}

impl WaitingRoom {
    /// With `capacity` places, at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self { shared: Arc::new(Shared { capacity, state: Mutex::default() }) }
    }

    /// Takes a place; the oldest in a full room loses its own.
    #[must_use]
    pub fn enter(&self) -> Place {
        let (sender, stays) = oneshot::channel();
        let mut state = self.shared.lock();
        while state.waiting.len() >= self.shared.capacity {
            state.waiting.pop_first();
        }
        let id = state.next;
        state.next += 1;
        state.waiting.insert(id, sender);
        Place { shared: self.shared.clone(), id, stays }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.lock().waiting.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Place {
    /// Resolves when the place is lost to somebody who came later.
    pub async fn lost(&mut self) {
        // Nothing is ever sent: the end of the sender is the news.
        let _ = (&mut self.stays).await;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.lock().waiting.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    fn is_lost(place: &mut Place) -> bool {
        place.stays.try_recv() == Err(TryRecvError::Closed)
    }

    #[test]
    fn the_oldest_makes_room_for_the_newest() {
        let room = WaitingRoom::new(2);
        let (mut first, mut second) = (room.enter(), room.enter());
        assert!(!is_lost(&mut first));
        let mut third = room.enter();
        assert!(is_lost(&mut first) && !is_lost(&mut second) && !is_lost(&mut third));
        assert_eq!(room.len(), 2);
    }

    #[test]
    fn who_leaves_makes_room_too() {
        let room = WaitingRoom::new(2);
        let (mut first, second) = (room.enter(), room.enter());
        drop(second);
        let _third = room.enter();
        assert!(!is_lost(&mut first));
        drop(first);
        assert_eq!(room.len(), 1);
    }
}
