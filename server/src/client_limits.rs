//! Limits on the work that the server does for one client at once, over all of its connections. Knows no commands.

use std::sync::Arc;

use parking_lot::Mutex;
use quiver_protocol::limits;
use tokio::sync::Semaphore;

use crate::request_rate::RequestRate;

/// Proofs of matching content at once for one client: reading and hashing a file costs the server more than
/// anything else that a request can ask for.
const MAX_PROOFS: usize = 1;

/// Responses of unbounded length (`list`, `status`) at once for one client: as many as Quiver's own client requests
/// at once, for a tree and at its prompt. Each holds a folder and some memory.
const MAX_LONG_RESPONSES: usize = 4;

/// Changes of one client that may wait for the disk at once: enough to keep a disk busy, and far fewer than
/// the threads for such work.
const MAX_CHANGES: usize = 32;

/// Renames at once for one client: each briefly locks all names of the server.
const MAX_RENAMES: usize = 2;

/// Files of unknown size sent at once to one client: a sixteenth of the limit for all clients.
const MAX_SPOOLS: usize = 4;

/// Permits that all connections of a client share. The semaphores are never closed.
#[derive(Debug)]
pub struct ClientLimits {
    /// One for each proof of how much of a file one side has.
    pub proofs: Semaphore,
    /// One for each response of unbounded length.
    pub long_responses: Semaphore,
    /// One for each change of a file or folder that is being flushed.
    pub changes: Semaphore,
    /// One for each rename.
    pub renames: Semaphore,
    /// One for each file of unknown size that is being sent.
    pub spools: Semaphore,
    /// One for each open introduction that the client has asked for.
    pub introductions: Arc<Semaphore>,
    /// How often the client asks for introductions.
    pub introduction_rate: Mutex<RequestRate>,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            proofs: Semaphore::new(MAX_PROOFS),
            long_responses: Semaphore::new(MAX_LONG_RESPONSES),
            changes: Semaphore::new(MAX_CHANGES),
            renames: Semaphore::new(MAX_RENAMES),
            spools: Semaphore::new(MAX_SPOOLS),
            introductions: Arc::new(Semaphore::new(limits::INTRODUCTIONS)),
            introduction_rate: Mutex::new(RequestRate::per_minute(
                limits::INTRODUCTIONS_PER_MINUTE,
            )),
        }
    }
}
