//! What this client does by itself with messages and offers of other clients. An interface turns it on.

use std::sync::atomic::{AtomicBool, Ordering};

/// Nothing is done by itself at first.
#[derive(Debug, Default)]
pub(crate) struct ReceivePolicy {
    keeps_history: AtomicBool,
    accepts_by_rule: AtomicBool,
}

impl ReceivePolicy {
    /// Whether the texts of received messages are kept.
    pub(crate) fn keeps_history(&self) -> bool {
        self.keeps_history.load(Ordering::Relaxed)
    }

    pub(crate) fn set_keeps_history(&self, keeps: bool) {
        self.keeps_history.store(keeps, Ordering::Relaxed);
    }

    /// Whether offers are accepted whose senders this person always accepts.
    pub(crate) fn accepts_by_rule(&self) -> bool {
        self.accepts_by_rule.load(Ordering::Relaxed)
    }

    pub(crate) fn set_accepts_by_rule(&self, accepts: bool) {
        self.accepts_by_rule.store(accepts, Ordering::Relaxed);
    }
}
