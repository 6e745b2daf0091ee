//! A contact, its keys, and how a key compares to them. No database.

use std::path::PathBuf;

use quiver_protocol::{ClientName, Fingerprint, Timestamp};

/// A name on a server, and what this client knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The fingerprint of the server's key.
    pub server: Fingerprint,
    /// The name, as it was written last.
    pub name: ClientName,
    /// Whether the name was an account when it was seen last.
    pub is_account: bool,
    /// Whether the person has accepted the contact: has sent to it, accepted an offer of it, or compared keys.
    pub is_accepted: bool,
    /// Whether the person has blocked the name.
    pub is_blocked: bool,
    /// The folder into which its offers are accepted without a question, if its key is verified.
    pub always_accept: Option<PathBuf>,
    /// Its keys, the first one first. A name that was blocked before it was seen has none.
    pub keys: Vec<ContactKey>,
}

/// A key of a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactKey {
    /// Its fingerprint.
    pub key: Fingerprint,
    /// When the name first had it.
    pub first_seen: Timestamp,
    /// When the name last had it.
    pub last_seen: Timestamp,
    /// When both persons compared the keys; `None` if they have not.
    pub verified: Option<Timestamp>,
}

/// How the key that a name has now compares to what is known of the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyCheck {
    /// The name has no known key.
    New,
    /// The name had this key before.
    Known {
        /// When both persons compared the keys; `None` if they have not.
        verified: Option<Timestamp>,
        /// Whether the person has accepted the contact.
        is_accepted: bool,
    },
    /// Another key of an account: perhaps another machine of the same person.
    OtherMachine {
        /// The keys that the name had before.
        known: Vec<ContactKey>,
    },
    /// Another key of a name without account, or a name that became an account or is one no longer.
    Changed {
        /// The keys that the name had before.
        known: Vec<ContactKey>,
    },
    /// The person has blocked the name, whatever key it has.
    Blocked,
}

impl Contact {
    /// Compares the key that the name has now to the known ones.
    pub(super) fn check(self, key: Fingerprint, is_account: bool) -> KeyCheck {
        let found = self.keys.iter().find(|known| known.key == key);
        if self.is_blocked {
            KeyCheck::Blocked
        } else if self.keys.is_empty() {
            KeyCheck::New
        } else if self.is_account != is_account {
            KeyCheck::Changed { known: self.keys }
        } else if let Some(ContactKey { verified, .. }) = found {
            KeyCheck::Known { verified: *verified, is_accepted: self.is_accepted }
        } else if is_account {
            KeyCheck::OtherMachine { known: self.keys }
        } else {
            KeyCheck::Changed { known: self.keys }
        }
    }
}
