//! The registry of one server, in memory. Does not wait for anything.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::Utc;
use parking_lot::Mutex;
use quiver_protocol::reply::ClientRow;
use quiver_protocol::{ClientName, ClientRef, Fingerprint, Reply, limits};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::listeners::{ListenerQueue, Listeners};
use super::{ConnectionId, EntryError, ListeningConnection, NameOwner};
use crate::client_connection::ClientConnection;
use crate::client_limits::ClientLimits;
use crate::history::History;

/// All slots of this server.
#[derive(Debug)]
pub(super) struct InMemoryRegistry {
    max_clients: usize,
    history: Arc<History>,
    /// Short locks, never across an await.
    state: Mutex<RegistryState>,
}

#[derive(Debug, Default)]
struct RegistryState {
    last_number: u64,
    last_connection: u64,
    /// By [`ClientName::key`].
    clients: HashMap<String, ConnectedClient>,
    /// The attached connections.
    connections: HashMap<ConnectionId, ClientConnection>,
    listeners: Listeners,
}

/// A connected client.
#[derive(Debug)]
struct ConnectedClient {
    number: u64,
    name: ClientName,
    owner: NameOwner,
    connections: Vec<ConnectionId>,
    limits: Arc<ClientLimits>,
    lost: CancellationToken,
}

/// The data of a new share of a slot.
pub(super) struct EnteredSlot {
    pub(super) number: u64,
    pub(super) name: ClientName,
    pub(super) connection: ConnectionId,
    pub(super) limits: Arc<ClientLimits>,
    pub(super) is_additional: bool,
    pub(super) lost: CancellationToken,
}

impl InMemoryRegistry {
    pub(super) fn new(max_clients: usize, history: Arc<History>) -> Self {
        Self { max_clients, history, state: Mutex::default() }
    }

    pub(super) fn max_clients(&self) -> usize {
        self.max_clients
    }

    pub(super) fn client_count(&self) -> usize {
        self.state.lock().clients.len()
    }

    pub(super) fn enter(
        &self,
        name: ClientName,
        owner: NameOwner,
        one_shot: bool,
    ) -> Result<EnteredSlot, EntryError> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let existing = state.clients.get_mut(&name.key());
        if let Some(client) = existing
            && client.owner == owner
            && owner != NameOwner::Connection
        {
            if client.connections.len() >= limits::CONNECTIONS_PER_CLIENT {
                return Err(EntryError::TooManyConnections(client.name.clone()));
            }
            state.last_connection += 1;
            let connection = ConnectionId(state.last_connection);
            client.connections.push(connection);
            if !one_shot {
                self.history.record_session(client.number);
            }
            return Ok(client.entered_slot(connection, true));
        }
        if state.clients.len() >= self.max_clients {
            state.last_number += 1;
            let (number, max_clients) = (state.last_number, self.max_clients);
            return Err(EntryError::Busy { number, max_clients });
        }
        if let Some(other) = state.clients.get(&name.key()) {
            return Err(EntryError::NameTaken(other.name.clone()));
        }
        state.last_number += 1;
        state.last_connection += 1;
        let (number, connection) = (state.last_number, ConnectionId(state.last_connection));
        let client = ConnectedClient {
            number,
            name: name.clone(),
            owner,
            connections: vec![connection],
            limits: Arc::default(),
            lost: CancellationToken::new(),
        };
        let entered = client.entered_slot(connection, false);
        state.clients.insert(name.key(), client);
        // Recorded under the lock, so that the history never has a later number without this one.
        self.history.record_start(number, name.clone(), one_shot, Utc::now());
        state.listeners.broadcast(&ClientRef { client: number, name }, Reply::Joined);
        Ok(entered)
    }

    pub(super) fn release(&self, name: &ClientName, connection: ConnectionId) {
        let mut state = self.state.lock();
        state.connections.remove(&connection);
        state.listeners.remove(connection);
        let Some(client) = state.clients.get_mut(&name.key()) else { return };
        // Where this slot was lost, the entry may belong to the next client of this name. Its connections do not
        // contain this one.
        client.connections.retain(|other| *other != connection);
        if !client.connections.is_empty() {
            return;
        }
        let number = client.number;
        let name = client.name.clone();
        let count = self.remove(&mut state, &name, number);
        drop(state);
        info!("Client {number}: {name} has disconnected");
        self.log_count(count);
    }

    pub(super) fn revoke(&self, number: u64) -> bool {
        let mut state = self.state.lock();
        let Some(client) = state.clients.values().find(|client| client.number == number) else {
            return false;
        };
        let (name, lost) = (client.name.clone(), client.lost.clone());
        let count = self.remove(&mut state, &name, number);
        drop(state);
        info!("Client {number}: {name} has lost its slot");
        self.log_count(count);
        lost.cancel();
        true
    }

    pub(super) fn connections(&self, name: &ClientName) -> Vec<ConnectionId> {
        let state = self.state.lock();
        state.clients.get(&name.key()).map_or_else(Vec::new, |client| client.connections.clone())
    }

    pub(super) fn attach(&self, id: ConnectionId, connection: ClientConnection) {
        self.state.lock().connections.insert(id, connection);
    }

    pub(super) fn connection(&self, id: ConnectionId) -> Option<ClientConnection> {
        self.state.lock().connections.get(&id).cloned()
    }

    /// Makes a connection listen; `None` if it does already.
    pub(super) fn listen(
        &self,
        connection: ConnectionId,
        client: u64,
        key: Fingerprint,
    ) -> Option<ListenerQueue> {
        self.state.lock().listeners.add(connection, client, key)
    }

    /// The listening connections of a client, the newest first; `None` where no client has this name.
    pub(super) fn listening(&self, name: &ClientName) -> Option<Vec<ListeningConnection>> {
        let state = self.state.lock();
        let client = state.clients.get(&name.key())?;
        let listening = state.listeners.newest_first(&client.connections).into_iter();
        let describe = |(connection, key)| ListeningConnection {
            connection,
            client: client.number,
            name: client.name.clone(),
            key,
            is_account: client.owner == NameOwner::Account,
        };
        Some(listening.map(describe).collect())
    }

    pub(super) fn send(&self, to: ConnectionId, reply: Reply) -> bool {
        self.state.lock().listeners.send(to, reply)
    }

    pub(super) fn listener_count(&self) -> usize {
        self.state.lock().listeners.count()
    }

    pub(super) fn mark_reachable(&self, rows: &mut [ClientRow]) {
        let state = self.state.lock();
        for row in rows.iter_mut().filter(|row| row.end.is_none()) {
            row.reachable = state.clients.get(&row.name.key()).is_some_and(|client| {
                client.number == row.number
                    && client.connections.iter().any(|it| state.listeners.is_listening(*it))
            });
        }
    }

    /// Removes a client, and returns how many are left.
    fn remove(&self, state: &mut RegistryState, name: &ClientName, number: u64) -> usize {
        state.clients.remove(&name.key());
        self.history.record_end(number, Utc::now());
        let client = ClientRef { client: number, name: name.clone() };
        state.listeners.broadcast(&client, Reply::Left);
        state.clients.len()
    }

    fn log_count(&self, count: usize) {
        info!("client count: {count} of {}", self.max_clients);
    }
}

impl ConnectedClient {
    fn entered_slot(&self, connection: ConnectionId, is_additional: bool) -> EnteredSlot {
        EnteredSlot {
            number: self.number,
            name: self.name.clone(),
            connection,
            limits: self.limits.clone(),
            is_additional,
            lost: self.lost.clone(),
        }
    }
}
