//! The introductions that this client has received from its server: it uses each id once. Both sides derive the
//! connection ids of their dials from it, so an observer of an earlier use would know those of a later one.

use std::collections::{HashSet, VecDeque};

use quiver_protocol::IntroductionId;

/// Introductions that are remembered: far more than a server gives out while one of their links is open.
const MAX_REMEMBERED: usize = 4096;

/// The newest introductions of this client.
#[derive(Debug, Default)]
pub(super) struct UsedIntroductions {
    ids: HashSet<IntroductionId>,
    /// The oldest first.
    order: VecDeque<IntroductionId>,
}

impl UsedIntroductions {
    /// Records an introduction. Returns `false` if it was recorded before.
    pub(super) fn record(&mut self, id: IntroductionId) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > MAX_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> IntroductionId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        IntroductionId(bytes)
    }

    #[test]
    fn an_introduction_is_used_once() {
        let mut used = UsedIntroductions::default();
        assert!(used.record(id(1)) && used.record(id(2)));
        assert!(!used.record(id(1)) && !used.record(id(2)));
    }

    #[test]
    fn the_number_of_remembered_introductions_is_bounded() {
        let mut used = UsedIntroductions::default();
        for number in 0..2 * MAX_REMEMBERED {
            assert!(used.record(id(number)));
        }
        assert_eq!((used.ids.len(), used.order.len()), (MAX_REMEMBERED, MAX_REMEMBERED));
        assert!(!used.record(id(MAX_REMEMBERED)));
    }
}
