//! What all connections of a server share. Decides nothing.

use std::sync::Arc;
use std::time::Duration;

use quiver_transfer::BackgroundPool;
use quiver_transport::LogWriter;
use tokio_util::sync::CancellationToken;

use crate::buffer_budget::BufferBudget;
use crate::files::Files;
use crate::handshake_queue::HandshakeQueue;
use crate::history::History;
use crate::metrics::Metrics;
use crate::passwords::Passwords;
use crate::registry::Registry;

/// What all connections share.
#[derive(Debug)]
pub struct ServerState {
    /// The connected clients.
    pub registry: Registry,
    /// The clients that are or were connected.
    pub history: Arc<History>,
    /// The served folder.
    pub files: Files,
    /// The accounts; without a password file, clients name themselves.
    pub passwords: Option<Passwords>,
    /// Cancelled once the server stops: it accepts no connection and no command any more.
    pub stopping: CancellationToken,
    /// Cancelled once the server stops without waiting for running commands.
    pub hurry: CancellationToken,
    /// The largest file that may be stored, in bytes.
    pub max_file_size: u64,
    /// How long an upload may go without a byte.
    pub put_timeout: Duration,
    /// Memory for answers that wait to be read.
    pub buffers: BufferBudget,
    /// The threads that list folders.
    pub lists: BackgroundPool,
    /// The threads that hash files which are stored already.
    pub proofs: BackgroundPool,
    /// Connections that were sent a goodbye and are not closed yet.
    pub leaving: HandshakeQueue,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where the log goes.
    pub log: LogWriter,
}
