//! What the commands of one connection use: the client that asks, its limits, and the server's pieces that answer.
//! Holds no session state.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quiver_protocol::{ClientName, Refusal};
use quiver_transfer::Lane;
use tokio::sync::Semaphore;

use super::authorization::{self, Permission};
use super::exit::ExitRequest;
use crate::buffer_budget::BufferBudget;
use crate::client_limits::ClientLimits;
use crate::config::{CONTENT_MEMORY, CONTENT_STREAMS};
use crate::files::Files;
use crate::history::History;
use crate::metrics::Metrics;
use crate::quota_db::Owner;
use crate::registry::{ConnectionId, NameOwner, Registry, Slot};
use crate::server_state::ServerState;

/// What the commands of one connection use.
#[derive(Debug)]
pub struct Context {
    /// The client that asks.
    pub client: ClientLabel,
    /// Its connection.
    pub connection: ConnectionId,
    /// One permit for each file that may be sent at once.
    pub content: Semaphore,
    /// A permit for each KiB that content may hold in memory.
    pub memory: Semaphore,
    /// Whether the client said exit.
    pub exit: ExitRequest,
    shared: Arc<ServerState>,
}

/// The client that asks. Shown as `ClientLabel 1: Ron`.
#[derive(Debug)]
pub struct ClientLabel {
    /// Its number.
    pub number: u64,
    /// Its name.
    pub name: ClientName,
    /// The owner of the files that it stores.
    pub owner: Owner,
    /// What all of its connections may do at once.
    pub limits: Arc<ClientLimits>,
}

impl Context {
    /// For a connection that holds this slot.
    #[must_use]
    pub fn new(slot: &Slot, shared: Arc<ServerState>) -> Self {
        let owner = match slot.name_owner() {
            NameOwner::Account => Owner::account(slot.name()),
            NameOwner::Key(fingerprint) => Owner::key(fingerprint),
            NameOwner::Connection => Owner::nobody(),
        };
        let client = ClientLabel {
            number: slot.number(),
            name: slot.name().clone(),
            owner,
            limits: slot.limits().clone(),
        };
        Self {
            client,
            connection: slot.connection(),
            content: Semaphore::new(CONTENT_STREAMS),
            memory: Semaphore::new(CONTENT_MEMORY / 1024),
            exit: ExitRequest::default(),
            shared,
        }
    }

    /// The connected clients.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// The served folder.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.shared.files
    }

    /// The clients that are or were connected.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.shared.history
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }

    /// Memory for answers that wait to be read.
    #[must_use]
    pub fn buffers(&self) -> &BufferBudget {
        &self.shared.buffer_budget
    }

    /// The largest file that may be stored, in bytes.
    #[must_use]
    pub fn max_file_size(&self) -> u64 {
        self.shared.max_file_size
    }

    /// How long an upload may go without a byte.
    #[must_use]
    pub fn put_patience(&self) -> Duration {
        self.shared.put_timeout
    }

    /// Where folders are listed for this client, in turns with others.
    #[must_use]
    pub fn list_lane(&self) -> Lane {
        self.shared.list_pool.lane(self.client.number)
    }

    /// Where files are hashed for this client, in turns with others.
    #[must_use]
    pub fn proof_lane(&self) -> Lane {
        self.shared.proof_pool.lane(self.client.number)
    }

    /// Whether the server accepts no command any more.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.is_cancelled()
    }

    /// Whether the client has this permission now.
    ///
    /// # Errors
    /// What to tell the client.
    pub fn authorize(&self, permission: Permission) -> Result<(), Refusal> {
        let ServerState { files, passwords, .. } = &*self.shared;
        authorization::authorize(permission, &self.client.name, files, passwords.as_ref())
    }
}

impl fmt::Display for ClientLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client {}: {}", self.number, self.name)
    }
}
