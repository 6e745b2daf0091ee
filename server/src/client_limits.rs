//! What one client may have the server do at once, over all of its connections. Knows no commands.

use tokio::sync::Semaphore;

/// Proofs of what one side has of a file that a client may have under way: reading and hashing it costs the
/// server more than anything else that a request may ask for.
const PROOFS: usize = 1;

/// Answers without a bound (`list`, `status`) that a client may be sent at once: as many as Quiver's own
/// client asks for at once, for a tree and at its prompt. Each holds a folder and some memory.
const LONG_ANSWERS: usize = 4;

/// Changes of a client that may wait for the disk at once: enough to keep a disk busy, and far fewer than
/// the threads for such work.
const CHANGES: usize = 32;

/// Renames of a client at once: each keeps all names of the server to itself for a moment.
const RENAMES: usize = 2;

/// Files of unknown size that a client may be sent at once: a sixteenth of those of all clients.
const SPOOLS: usize = 4;

/// Permits that all connections of a client share. The semaphores are never closed.
#[derive(Debug)]
pub struct ClientLimits {
    /// One for each proof of what one side has of a file.
    pub proofs: Semaphore,
    /// One for each answer without a bound.
    pub long_responses: Semaphore,
    /// One for each change of a file or folder that is being flushed.
    pub changes: Semaphore,
    /// One for each rename.
    pub renames: Semaphore,
    /// One for each file of unknown size that is sent.
    pub spools: Semaphore,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            proofs: Semaphore::new(PROOFS),
            long_responses: Semaphore::new(LONG_ANSWERS),
            changes: Semaphore::new(CHANGES),
            renames: Semaphore::new(RENAMES),
            spools: Semaphore::new(SPOOLS),
        }
    }
}
