//! The context of one connection's commands: the client, its limits, and the parts of the server
//! that commands use. Holds no session state.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quiver_protocol::{ClientName, Fingerprint, Refusal, RefusalCode};
use quiver_transfer::Lane;
use quiver_transport::BufferBudget;
use tokio::sync::Semaphore;

use super::authorization::{self, Permission};
use super::exit::ExitRequest;
use crate::client_limits::ClientLimits;
use crate::config::{CONTENT_MEMORY, MAX_CONTENT_STREAMS};
use crate::files::Files;
use crate::history::History;
use crate::internal_failure;
use crate::introductions::Introductions;
use crate::metrics::Metrics;
use crate::packet_count::PacketCount;
use crate::quota_db::Owner;
use crate::registry::{ConnectionId, NameOwner, Registry, RegistryUnavailable, Slot};
use crate::relay::RelayUsages;
use crate::server_state::ServerState;

/// The context of one connection's commands.
#[derive(Debug)]
pub struct Context {
    /// The client that sends the requests.
    pub client: RequestingClient,
    /// The client's connection.
    pub connection: ConnectionId,
    /// The key of this connection; `None` without a client certificate.
    key: Option<Fingerprint>,
    /// One permit for each file that may be sent at once.
    pub content_permits: Semaphore,
    /// One permit for each KiB of memory that content may use.
    pub memory_permits: Semaphore,
    /// Counts the packets of the connection.
    pub packets: Arc<PacketCount>,
    /// The client's `exit` command.
    pub exit: ExitRequest,
    shared: Arc<ServerState>,
}

/// The client that sends the requests of a connection. Shown as `Client 1: Ron`.
#[derive(Debug)]
pub struct RequestingClient {
    /// The client's number.
    pub number: u64,
    /// The client's name.
    pub name: ClientName,
    /// Whether the name is an account.
    pub is_account: bool,
    /// The owner of the files that it stores.
    pub owner: Owner,
    /// The limits that all connections of the client share.
    pub limits: Arc<ClientLimits>,
}

impl Context {
    /// The context of a connection that holds this slot and has this key.
    #[must_use]
    pub fn new(
        slot: &Slot,
        key: Option<Fingerprint>,
        packets: PacketCount,
        shared: Arc<ServerState>,
    ) -> Self {
        let owner = match slot.name_owner() {
            NameOwner::Account => Owner::account(slot.name()),
            NameOwner::Key(fingerprint) => Owner::key(fingerprint),
            NameOwner::Connection => Owner::anonymous(),
        };
        let client = RequestingClient {
            number: slot.number(),
            name: slot.name().clone(),
            is_account: slot.name_owner() == NameOwner::Account,
            owner,
            limits: slot.limits().clone(),
        };
        Self {
            client,
            connection: slot.connection(),
            key,
            content_permits: Semaphore::new(MAX_CONTENT_STREAMS),
            memory_permits: Semaphore::new(CONTENT_MEMORY / 1024),
            packets: Arc::new(packets),
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

    /// The server's metrics.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }

    /// Memory for responses that clients have not read yet.
    #[must_use]
    pub fn buffers(&self) -> &BufferBudget {
        &self.shared.buffer_budget
    }

    /// The largest file that may be stored, in bytes.
    #[must_use]
    pub fn max_file_size(&self) -> u64 {
        self.shared.max_file_size
    }

    /// How long an upload may receive nothing before it ends.
    #[must_use]
    pub fn put_timeout(&self) -> Duration {
        self.shared.put_timeout
    }

    /// The lane that lists folders for this client, in turns with those of others.
    #[must_use]
    pub fn list_lane(&self) -> Lane {
        self.shared.list_pool.lane(self.client.number)
    }

    /// The lane that hashes files for this client, in turns with those of others.
    #[must_use]
    pub fn proof_lane(&self) -> Lane {
        self.shared.proof_pool.lane(self.client.number)
    }

    /// The introductions of all connections.
    #[must_use]
    pub fn introductions(&self) -> &Introductions {
        &self.shared.introductions
    }

    /// What the server relays for each client; `None` if it does not relay.
    #[must_use]
    pub fn relays(&self) -> Option<&RelayUsages> {
        self.shared.relays.as_ref()
    }

    /// The key of this connection, which introductions need.
    ///
    /// # Errors
    /// The refusal to send to the client.
    pub fn client_key(&self) -> Result<Fingerprint, Refusal> {
        let message = "introductions need a client certificate";
        self.key.ok_or_else(|| Refusal::new(RefusalCode::Forbidden, message))
    }

    /// Logs that the registry is unavailable, and returns the refusal to send to the client.
    #[must_use]
    pub fn registry_failure(&self, reason: &RegistryUnavailable) -> Refusal {
        internal_failure::report(self.metrics(), "the registry", reason)
    }

    /// Resolves when the server begins to stop.
    pub async fn stopping(&self) {
        self.shared.stopping.cancelled().await;
    }

    /// The refusal of a command while the server stops.
    #[must_use]
    pub fn stopping_refusal(&self) -> Refusal {
        Refusal::new(RefusalCode::ShuttingDown, "the server is stopping")
    }

    /// Whether the server is stopping: it accepts no more commands.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.is_cancelled()
    }

    /// Checks whether the client has this permission now.
    ///
    /// # Errors
    /// The refusal to send to the client.
    pub fn authorize(&self, permission: Permission) -> Result<(), Refusal> {
        let ServerState { files, passwords, .. } = &*self.shared;
        authorization::authorize(permission, &self.client.name, files, passwords.as_ref())
    }
}

impl fmt::Display for RequestingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client {}: {}", self.number, self.name)
    }
}
