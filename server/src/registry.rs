//! The connected clients: their slots, numbers, names and connections. Serves no connection.
//!
//! The interface allows a registry that several servers share: entering can fail, a slot can be lost while it is
//! held, and slots are released through a queue. The only implementation keeps everything in memory.

mod listeners;
mod memory;

use std::net::SocketAddr;
use std::sync::Arc;

use quiver_protocol::reply::ClientRow;
use quiver_protocol::{ClientName, Event, Fingerprint, Introduction, Reply, limits};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use self::listeners::ListenerQueue;
use self::memory::InMemoryRegistry;
use crate::client_connection::{ClientConnection, DeliveryError};
use crate::client_limits::ClientLimits;
use crate::history::History;

/// The slots of a server. A cheap handle.
#[derive(Debug, Clone)]
pub struct Registry {
    memory: Arc<InMemoryRegistry>,
    releases: mpsc::UnboundedSender<SlotRelease>,
}

/// Identifies one connection of one client, for as long as the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(u64);

#[cfg(test)]
impl ConnectionId {
    /// The id with this number.
    pub(crate) fn of(number: u64) -> Self {
        Self(number)
    }
}

/// The owner of a client name. Two connections with the same name and owner are one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameOwner {
    /// The account of this name.
    Account,
    /// A client key.
    Key(Fingerprint),
    /// This connection alone.
    Connection,
}

/// Why a client got no slot.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryError {
    /// All slots are in use. The refused client uses up a number.
    #[error("all {max_clients} slots are in use")]
    Busy {
        /// The number the client would have had.
        number: u64,
        /// The number of slots.
        max_clients: usize,
    },
    /// Another client has this name.
    #[error("another client is called {0}")]
    NameTaken(ClientName),
    /// The client has the maximum number of connections.
    #[error("{0} has {limit} connections already", limit = limits::CONNECTIONS_PER_CLIENT)]
    TooManyConnections(ClientName),
    /// The registry is unavailable.
    #[error(transparent)]
    Unavailable(#[from] RegistryUnavailable),
}

/// The registry is unavailable at the moment. The text is for the log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the registry is unavailable: {0}")]
pub struct RegistryUnavailable(String);

/// A connection that takes introductions, and its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListeningConnection {
    /// The connection.
    pub connection: ConnectionId,
    /// The client's number.
    pub client: u64,
    /// The client's name.
    pub name: ClientName,
    /// The key of this connection.
    pub key: Fingerprint,
    /// Whether the name is an account.
    pub is_account: bool,
}

/// A connection's share of a client's slot. When the last share is released, the slot and the name are free.
///
/// Call [`release`](Self::release) to wait until it is released. Dropping it queues the release without waiting.
#[derive(Debug)]
pub struct Slot {
    number: u64,
    name: ClientName,
    owner: NameOwner,
    connection: ConnectionId,
    limits: Arc<ClientLimits>,
    is_additional: bool,
    lost: CancellationToken,
    registry: Registry,
    /// Gets a message when the share is released.
    released: Option<oneshot::Sender<()>>,
}

/// A share that waits for its release.
#[derive(Debug)]
struct SlotRelease {
    name: ClientName,
    connection: ConnectionId,
    /// Gets a message when the share is released.
    released: Option<oneshot::Sender<()>>,
}

/// The queue of shares that wait for their release: at most one entry for each [`Slot`].
#[derive(Debug)]
pub struct ReleaseQueue {
    queue: mpsc::UnboundedReceiver<SlotRelease>,
    memory: Arc<InMemoryRegistry>,
}

impl Registry {
    /// Creates a registry of `max_clients` slots in memory, which records connects and disconnects in `history`.
    /// Slots are released only while [`ReleaseQueue::process`] runs.
    #[must_use]
    pub fn in_memory(max_clients: usize, history: Arc<History>) -> (Self, ReleaseQueue) {
        let memory = Arc::new(InMemoryRegistry::new(max_clients, history));
        let (releases, queue) = mpsc::unbounded_channel();
        (Self { memory: memory.clone(), releases }, ReleaseQueue { queue, memory })
    }

    /// The number of slots.
    #[must_use]
    pub fn max_clients(&self) -> usize {
        self.memory.max_clients()
    }

    /// The number of connected clients.
    #[must_use]
    pub fn client_count(&self) -> usize {
        self.memory.client_count()
    }

    /// Takes a free slot, or a share of the slot that this client already has. A client is one-shot as long as all of
    /// its connections are.
    ///
    /// # Errors
    /// [`EntryError`].
    pub async fn enter(
        &self,
        name: ClientName,
        owner: NameOwner,
        one_shot: bool,
    ) -> Result<Slot, EntryError> {
        if self.releases.is_closed() {
            return Err(RegistryUnavailable("slots are no longer released".to_owned()).into());
        }
        let entered = self.memory.enter(name, owner, one_shot)?;
        Ok(Slot {
            number: entered.number,
            name: entered.name,
            owner,
            connection: entered.connection,
            limits: entered.limits,
            is_additional: entered.is_additional,
            lost: entered.lost,
            registry: self.clone(),
            released: None,
        })
    }

    /// Takes the slot away from the client with this number, at once: its name is free, and [`Slot::lost`] resolves
    /// for each of its connections. Returns whether there was such a client.
    ///
    /// # Errors
    /// [`RegistryUnavailable`].
    pub async fn revoke(&self, number: u64) -> Result<bool, RegistryUnavailable> {
        Ok(self.memory.revoke(number))
    }

    /// The connections of the client with this name, oldest first; empty where no such client is connected.
    ///
    /// # Errors
    /// [`RegistryUnavailable`].
    pub async fn connections(
        &self,
        name: &ClientName,
    ) -> Result<Vec<ConnectionId>, RegistryUnavailable> {
        Ok(self.memory.connections(name))
    }

    /// Sends an event to one connection of a client, and waits until the client has acknowledged it. Takes some
    /// seconds at most.
    ///
    /// # Errors
    /// [`DeliveryError`].
    pub async fn deliver(&self, to: ConnectionId, event: &Event) -> Result<(), DeliveryError> {
        let connection = self.memory.connection(to).ok_or(DeliveryError::NotConnected)?;
        connection.deliver(event).await
    }

    /// Makes a connection of this client and key listen: it takes introductions, and learns of clients that connect
    /// and disconnect, until the queue is dropped. `None` if it listens already.
    ///
    /// # Errors
    /// [`RegistryUnavailable`].
    pub async fn listen(
        &self,
        connection: ConnectionId,
        client: u64,
        key: Fingerprint,
    ) -> Result<Option<ListenerQueue>, RegistryUnavailable> {
        Ok(self.memory.listen(connection, client, key))
    }

    /// The listening connections of the client with this name, the newest first; `None` where no such client is
    /// connected.
    ///
    /// # Errors
    /// [`RegistryUnavailable`].
    pub async fn listening(
        &self,
        name: &ClientName,
    ) -> Result<Option<Vec<ListeningConnection>>, RegistryUnavailable> {
        Ok(self.memory.listening(name))
    }

    /// Queues an introduction for a listening connection. Returns whether it still listens.
    ///
    /// # Errors
    /// [`RegistryUnavailable`].
    pub async fn introduce(
        &self,
        to: ConnectionId,
        introduction: Introduction,
    ) -> Result<bool, RegistryUnavailable> {
        Ok(self.memory.send(to, Reply::Introduction(introduction)))
    }

    /// The number of listening connections.
    #[must_use]
    pub fn listener_count(&self) -> usize {
        self.memory.listener_count()
    }

    /// Sets in each row whether the client takes introductions now.
    ///
    /// # Errors
    /// [`RegistryUnavailable`].
    pub async fn mark_reachable(&self, rows: &mut [ClientRow]) -> Result<(), RegistryUnavailable> {
        self.memory.mark_reachable(rows);
        Ok(())
    }

    /// The address from which a connection reaches the server now; `None` if it has ended.
    ///
    /// # Errors
    /// [`RegistryUnavailable`].
    pub async fn observed_address(
        &self,
        connection: ConnectionId,
    ) -> Result<Option<SocketAddr>, RegistryUnavailable> {
        Ok(self.memory.connection(connection).map(|connection| connection.address()))
    }

    /// Whether the connection exists and its client still acknowledges packets. Takes some seconds where it does
    /// not.
    pub async fn is_alive(&self, connection: ConnectionId) -> bool {
        match self.memory.connection(connection) {
            Some(connection) => connection.is_alive().await,
            None => false,
        }
    }
}

impl Slot {
    /// The client's number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The client's name, as its first connection spelled it.
    #[must_use]
    pub fn name(&self) -> &ClientName {
        &self.name
    }

    /// The owner of the client's name.
    #[must_use]
    pub fn name_owner(&self) -> NameOwner {
        self.owner
    }

    /// The connection whose share it is.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// The limits that all connections of the client share.
    #[must_use]
    pub fn limits(&self) -> &Arc<ClientLimits> {
        &self.limits
    }

    /// Whether the client was already connected through another connection.
    #[must_use]
    pub fn is_additional(&self) -> bool {
        self.is_additional
    }

    /// Makes the connection reachable by its id, until its share is released.
    pub fn attach(&self, connection: ClientConnection) {
        self.registry.memory.attach(self.connection, connection);
    }

    /// Resolves when the slot is lost, and not otherwise. Another client may have the slot and the name already.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Releases the share, and waits until it is released. If this future is dropped, the share is released all the
    /// same.
    ///
    /// # Errors
    /// [`RegistryUnavailable`], where slots are no longer released.
    pub async fn release(mut self) -> Result<(), RegistryUnavailable> {
        let (released, is_released) = oneshot::channel();
        self.released = Some(released);
        drop(self);
        is_released.await.map_err(|_| RegistryUnavailable("the slot was not released".to_owned()))
    }
}

/// Queues the release without waiting.
impl Drop for Slot {
    fn drop(&mut self) {
        let Self { ref name, connection, .. } = *self;
        let release =
            SlotRelease { name: name.clone(), connection, released: self.released.take() };
        // Fails only when the server has stopped; all slots are free then.
        let _ = self.registry.releases.send(release);
    }
}

impl ReleaseQueue {
    /// Releases slots as they are queued. Never returns.
    pub async fn process(&mut self) {
        while let Some(release) = self.queue.recv().await {
            self.release(release);
        }
        std::future::pending().await
    }

    /// Closes the queue and releases the shares that are in it.
    pub fn close(&mut self) {
        self.queue.close();
        while let Ok(release) = self.queue.try_recv() {
            self.release(release);
        }
    }

    fn release(&self, SlotRelease { name, connection, released }: SlotRelease) {
        self.memory.release(&name, connection);
        if let Some(released) = released {
            // Fails where the session no longer waits.
            let _ = released.send(());
        }
    }
}

#[cfg(test)]
mod tests;
