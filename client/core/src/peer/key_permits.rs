//! Permits that other clients hold, counted by their keys: none of them, and not all strangers together, can take those
//! of the others. Knows no connections.

use std::sync::Arc;

use parking_lot::Mutex;
use quiver_protocol::{Fingerprint, limits};

/// Links that other clients may open at once: all, those that the person has not accepted, and one.
const MAX_LINKS: usize = 32;
const MAX_STRANGER_LINKS: usize = 16;
/// One for each connection that a client may have with the server.
const MAX_LINKS_OF_KEY: usize = limits::CONNECTIONS_PER_CLIENT;

/// Questions that other clients may cause at once, in the same order.
const MAX_QUESTIONS: usize = 4;
const MAX_STRANGER_QUESTIONS: usize = 3;
const MAX_QUESTIONS_OF_KEY: usize = 1;

/// How many permits may be held at once.
#[derive(Debug, Clone, Copy)]
struct PermitLimits {
    /// By all keys.
    total: usize,
    /// By the keys of strangers, which cost nothing: a client can make any number of them.
    strangers: usize,
    /// By one key.
    key: usize,
}

/// The permits for one purpose.
#[derive(Debug)]
pub(super) struct KeyPermits {
    limits: PermitLimits,
    owners: Arc<Mutex<Vec<PermitOwner>>>,
}

/// Returned when dropped.
#[derive(Debug)]
pub(super) struct KeyPermit {
    owner: PermitOwner,
    owners: Arc<Mutex<Vec<PermitOwner>>>,
}

/// Who holds a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PermitOwner {
    key: Fingerprint,
    is_accepted: bool,
}

impl KeyPermits {
    /// Permits for links that other clients open.
    pub(super) fn for_links() -> Self {
        let (total, strangers, key) = (MAX_LINKS, MAX_STRANGER_LINKS, MAX_LINKS_OF_KEY);
        Self::new(PermitLimits { total, strangers, key })
    }

    /// Permits for questions that other clients cause.
    pub(super) fn for_questions() -> Self {
        let (total, strangers, key) = (MAX_QUESTIONS, MAX_STRANGER_QUESTIONS, MAX_QUESTIONS_OF_KEY);
        Self::new(PermitLimits { total, strangers, key })
    }

    fn new(limits: PermitLimits) -> Self {
        Self { limits, owners: Arc::default() }
    }

    /// A permit for the client with this key; `None` at a limit. A client that the person has not accepted is a
    /// stranger.
    pub(super) fn try_acquire(&self, key: Fingerprint, is_accepted: bool) -> Option<KeyPermit> {
        let mut owners = self.owners.lock();
        let of_key = owners.iter().filter(|owner| owner.key == key).count();
        let strangers = owners.iter().filter(|owner| !owner.is_accepted).count();
        let is_available = owners.len() < self.limits.total
            && of_key < self.limits.key
            && (is_accepted || strangers < self.limits.strangers);
        is_available.then(|| {
            let owner = PermitOwner { key, is_accepted };
            owners.push(owner);
            KeyPermit { owner, owners: self.owners.clone() }
        })
    }
}

impl Drop for KeyPermit {
    fn drop(&mut self) {
        let mut owners = self.owners.lock();
        if let Some(position) = owners.iter().position(|owner| *owner == self.owner) {
            owners.swap_remove(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PermitLimits = PermitLimits { total: 4, strangers: 3, key: 2 };

    fn key(number: u8) -> Fingerprint {
        Fingerprint([number; 32])
    }

    #[test]
    fn one_key_gets_no_more_than_its_share() {
        let permits = KeyPermits::new(LIMITS);
        let held = [(); 2].map(|()| permits.try_acquire(key(1), true));
        assert!(held.iter().all(Option::is_some));
        assert!(permits.try_acquire(key(1), true).is_none());
        assert!(permits.try_acquire(key(2), true).is_some());
        drop(held);
        assert!(permits.try_acquire(key(1), true).is_some());
    }

    #[test]
    fn strangers_with_any_number_of_keys_leave_permits_to_contacts() {
        let permits = KeyPermits::new(LIMITS);
        let mut held: Vec<_> =
            (1..=3).map(|number| permits.try_acquire(key(number), false)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(permits.try_acquire(key(4), false).is_none());
        let contact = permits.try_acquire(key(5), true);
        assert!(contact.is_some());
        assert!(permits.try_acquire(key(6), true).is_none(), "more than there are in all");
        held.pop();
        assert!(permits.try_acquire(key(4), false).is_some());
    }
}
