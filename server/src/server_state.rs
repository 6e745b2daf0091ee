//! The state that all connections of a server share. Decides nothing.

use std::sync::Arc;
use std::time::Duration;

use quiver_transfer::BackgroundPool;
use quiver_transport::{BufferBudget, LogWriter, WindowPolicy};
use tokio_util::sync::CancellationToken;

use crate::files::Files;
use crate::handshake_queue::HandshakeQueue;
use crate::history::History;
use crate::introductions::Introductions;
use crate::metrics::Metrics;
use crate::passwords::Passwords;
use crate::registry::Registry;
use crate::relay::RelayUsages;

/// The state that all connections share.
#[derive(Debug)]
pub struct ServerState {
    /// The connected clients.
    pub registry: Registry,
    /// The clients that are or were connected.
    pub history: Arc<History>,
    /// The introductions of connections to each other.
    pub introductions: Introductions,
    /// What the server relays for each client; `None` if it does not relay.
    pub relays: Option<RelayUsages>,
    /// The served folder.
    pub files: Files,
    /// The accounts. Without a password file, clients choose their own names.
    pub passwords: Option<Passwords>,
    /// Cancelled when the server begins to stop: it accepts no more connections and commands.
    pub stopping: CancellationToken,
    /// Cancelled when the server stops without waiting for running commands.
    pub abort: CancellationToken,
    /// The largest file that clients may store, in bytes.
    pub max_file_size: u64,
    /// The idle timeout of an upload.
    pub put_timeout: Duration,
    /// Memory for responses that clients have not read yet.
    pub buffer_budget: BufferBudget,
    /// How far the windows of connections may grow, with memory of the same budget.
    pub windows: WindowPolicy,
    /// The threads that list folders.
    pub list_pool: BackgroundPool,
    /// The threads that hash stored files.
    pub proof_pool: BackgroundPool,
    /// Connections that were sent a goodbye and are not closed yet.
    pub closing: HandshakeQueue,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The writer of the log.
    pub log: LogWriter,
}
