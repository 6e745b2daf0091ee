//! The connected clients: their slots, numbers, names and connections. Serves no connection.
//!
//! The interface is that of a registry which several servers can share: entering can fail, a slot can be lost while
//! it is held, and slots are released through a queue. The one implementation keeps all of it in memory.

mod memory;

use std::sync::Arc;

use quiver_protocol::{ClientName, Event, Fingerprint, limits};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::memory::InMemoryRegistry;
use crate::client_connection::{ClientConnection, DeliveryError};
use crate::client_limits::ClientLimits;
use crate::history::History;

/// The slots of a server. A cheap handle.
#[derive(Debug, Clone)]
pub struct Registry {
    memory: Arc<InMemoryRegistry>,
    releases: mpsc::UnboundedSender<Release>,
}

/// Names one connection of one client, as long as the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(u64);

/// Whose name it is: what makes two connections one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameOwner {
    /// Whoever signs in to the account of this name.
    Account,
    /// Whoever holds this key.
    Key(Fingerprint),
    /// This one connection.
    Connection,
}

/// Why there is no slot.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryError {
    /// All slots are taken. Uses up a number.
    #[error("all {max_clients} slots are taken")]
    Busy {
        /// The number the client would have had.
        number: u64,
        /// How many clients may be connected, and are.
        max_clients: usize,
    },
    /// Another client has this name.
    #[error("another client is called {0}")]
    NameTaken(ClientName),
    /// The client has as many connections as one may have.
    #[error("{0} has {limit} connections already", limit = limits::CONNECTIONS_PER_CLIENT)]
    TooManyConnections(ClientName),
    /// The registry cannot be asked now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The registry cannot be asked now; it may be later. The text is for the log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the registry is unavailable: {0}")]
pub struct Unavailable(String);

/// A connection's share of a client's slot. With a client's last connection its slot and name are free.
///
/// [`release`](Self::release) it; dropped, it is put into the same queue, and is free some time later.
#[derive(Debug)]
pub struct Slot {
    number: u64,
    name: ClientName,
    owner: NameOwner,
    connection: ConnectionId,
    limits: Arc<ClientLimits>,
    joined: bool,
    lost: CancellationToken,
    registry: Registry,
    /// Told once it is released.
    done: Option<oneshot::Sender<()>>,
}

/// A share that is to be released.
#[derive(Debug)]
struct Release {
    name: ClientName,
    connection: ConnectionId,
    /// Told once it is released.
    done: Option<oneshot::Sender<()>>,
}

/// The queue of slots that are to be released. It holds at most one entry for each slot.
#[derive(Debug)]
pub struct Releases {
    queue: mpsc::UnboundedReceiver<Release>,
    memory: Arc<InMemoryRegistry>,
}

impl Registry {
    /// With `max_clients` slots, in this server's memory; `history` is told when clients connect and disconnect.
    /// Slots are released for as long as [`Releases::process`] runs.
    #[must_use]
    pub fn in_memory(max_clients: usize, history: Arc<History>) -> (Self, Releases) {
        let memory = Arc::new(InMemoryRegistry::new(max_clients, history));
        let (releases, queue) = mpsc::unbounded_channel();
        (Self { memory: memory.clone(), releases }, Releases { queue, memory })
    }

    /// How many clients may be connected at once.
    #[must_use]
    pub fn max_clients(&self) -> usize {
        self.memory.max_clients()
    }

    /// How many clients are connected.
    #[must_use]
    pub fn count(&self) -> usize {
        self.memory.count()
    }

    /// Takes a slot, or a share in the one this client has.
    ///
    /// # Errors
    /// [`EntryError`].
    pub async fn enter(&self, name: ClientName, owner: NameOwner) -> Result<Slot, EntryError> {
        if self.releases.is_closed() {
            return Err(Unavailable("no slot can be released any more".to_owned()).into());
        }
        let entered = self.memory.enter(name, owner)?;
        Ok(Slot {
            number: entered.number,
            name: entered.name,
            owner,
            connection: entered.connection,
            limits: entered.limits,
            joined: entered.joined,
            lost: entered.lost,
            registry: self.clone(),
            done: None,
        })
    }

    /// Takes the slot of the client with this number away, at once: its name is free, and each of its connections
    /// learns of the loss. Whether there was such a client.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn revoke(&self, number: u64) -> Result<bool, Unavailable> {
        Ok(self.memory.revoke(number))
    }

    /// The connections of the client of this name, in the order in which they were made; none where no such client
    /// is connected.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn connections(&self, name: &ClientName) -> Result<Vec<ConnectionId>, Unavailable> {
        Ok(self.memory.connections(name))
    }

    /// Sends an event to one connection of a client, which has acknowledged it when this returns. Takes some
    /// seconds at most.
    ///
    /// # Errors
    /// [`DeliveryError`].
    pub async fn deliver(&self, to: ConnectionId, event: &Event) -> Result<(), DeliveryError> {
        let connection = self.memory.connection(to).ok_or(DeliveryError::NotConnected)?;
        connection.deliver(event).await
    }

    /// Whether there is such a connection, and its client still acknowledges what is sent to it. Takes some
    /// seconds where it does not.
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

    /// The client's name, in the form it was first given.
    #[must_use]
    pub fn name(&self) -> &ClientName {
        &self.name
    }

    /// Whose it is.
    #[must_use]
    pub fn name_owner(&self) -> NameOwner {
        self.owner
    }

    /// The connection whose share it is.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// What all connections of the client may do at once.
    #[must_use]
    pub fn limits(&self) -> &Arc<ClientLimits> {
        &self.limits
    }

    /// Whether the client was connected before, with another connection.
    #[must_use]
    pub fn joined(&self) -> bool {
        self.joined
    }

    /// From now on the connection can be reached by its id, until its share is released.
    pub fn attach(&self, connection: ClientConnection) {
        self.registry.memory.attach(self.connection, connection);
    }

    /// Resolves once the slot is lost: it and its name may be another client's already. Never otherwise.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Gives the share back, and waits until that is done. Dropped meanwhile, it is done nevertheless.
    ///
    /// # Errors
    /// [`Unavailable`], where nothing is released any more.
    pub async fn release(mut self) -> Result<(), Unavailable> {
        let (done, is_done) = oneshot::channel();
        self.done = Some(done);
        drop(self);
        is_done.await.map_err(|_| Unavailable("the slot was not released".to_owned()))
    }
}

/// Waits for nothing.
impl Drop for Slot {
    fn drop(&mut self) {
        let Self { ref name, connection, .. } = *self;
        let release = Release { name: name.clone(), connection, done: self.done.take() };
        // Fails only after the end of the server, with which all slots are gone.
        let _ = self.registry.releases.send(release);
    }
}

impl Releases {
    /// Releases slots as they are queued. Never returns.
    pub async fn process(&mut self) {
        while let Some(release) = self.queue.recv().await {
            self.release(release);
        }
        std::future::pending().await
    }

    /// Takes nothing more into the queue, and releases what is in it.
    pub fn close(&mut self) {
        self.queue.close();
        while let Ok(release) = self.queue.try_recv() {
            self.release(release);
        }
    }

    fn release(&self, Release { name, connection, done }: Release) {
        self.memory.release(&name, connection);
        if let Some(done) = done {
            // Fails where the session waits no more.
            let _ = done.send(());
        }
    }
}

#[cfg(test)]
mod tests;
