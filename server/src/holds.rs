//! Who has which part now: so that a client whose connection was lost, and who comes again by another, need not
//! wait until the server has noticed. Knows nothing of disks, nor of whether a connection lives.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::registry::ConnectionId;

/// The parts that puts have now.
#[derive(Debug, Clone, Default)]
pub struct Holds(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    last: u64,
    /// By the part's number. Short locks, never across an await.
    parts: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// The hold's own number.
    number: u64,
    holder: Holder,
    is_obsolete: bool,
}

/// A put that has a part.
#[derive(Debug, Clone)]
pub struct Holder {
    /// By which it comes.
    pub connection: ConnectionId,
    /// Ends the put, if its content has not all come.
    pub end: CancellationToken,
    /// The part, its room and its quota are given back.
    pub gone: CancellationToken,
}

/// That a put has a part. To be dropped after all that it has.
#[derive(Debug)]
pub struct Hold {
    holds: Holds,
    part: u64,
    number: u64,
    gone: CancellationToken,
}

impl Holder {
    /// A put that comes by this connection.
    #[must_use]
    pub fn new(connection: ConnectionId) -> Self {
        Self { connection, end: CancellationToken::new(), gone: CancellationToken::new() }
    }
}

impl Holds {
    /// A put has the part of this number, which nobody else can have at the same time.
    #[must_use]
    pub fn take(&self, part: u64, holder: Holder) -> Hold {
        let gone = holder.gone.clone();
        let mut held = self.lock();
        held.last += 1;
        let number = held.last;
        held.parts.insert(part, Entry { number, holder, is_obsolete: false });
        drop(held);
        Hold { holds: self.clone(), part, number, gone }
    }

    /// Who has the part of this number.
    #[must_use]
    pub fn holder(&self, part: u64) -> Option<Holder> {
        self.lock().parts.get(&part).map(|entry| entry.holder.clone())
    }

    /// The file that this part was to become is stored by another put of the same client: no later one needs
    /// what the put that has it may leave.
    pub fn mark_obsolete(&self, part: u64) {
        if let Some(entry) = self.lock().parts.get_mut(&part) {
            entry.is_obsolete = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock()
    }
}

impl Hold {
    /// Says that the put has the part no more. The part's number, where nobody needs what is left of it.
    #[must_use]
    pub fn release(self) -> Option<u64> {
        self.remove().then_some(self.part)
    }

    fn remove(&self) -> bool {
        let mut held = self.holds.lock();
        // The part is free since a moment ago: somebody may have it already.
        let is_mine = held.parts.get(&self.part).is_some_and(|entry| entry.number == self.number);
        let entry = if is_mine { held.parts.remove(&self.part) } else { None };
        entry.is_some_and(|entry| entry.is_obsolete)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.remove();
        self.gone.cancel();
    }
}
