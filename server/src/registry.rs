//! Who is connected, and which slots, numbers and names are free. Knows nothing of QUIC.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::Utc;
use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::{ClientName, Fingerprint, limits};
use thiserror::Error;
use tracing::info;

use crate::client_limits::ClientLimits;
use crate::history::History;

/// The slots of a server.
#[derive(Debug, Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    max_clients: usize,
    history: Arc<History>,
    /// Short locks, never across an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_number: u64,
    /// By the name's key.
    clients: HashMap<String, Client>,
}

#[derive(Debug)]
struct Client {
    number: u64,
    name: ClientName,
    holder: Holder,
    connections: usize,
    limits: Arc<ClientLimits>,
}

/// Whose name it is: what makes two connections one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
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
        /// How many may be here, and are.
        max_clients: usize,
    },
    /// Another client has this name.
    #[error("another client is called {0}")]
    NameTaken(ClientName),
    /// The client has as many connections as one may have.
    #[error("{0} has {limit} connections already", limit = limits::CONNECTIONS_PER_CLIENT)]
    TooManyConnections(ClientName),
}

/// A connection's share of a client's slot. Dropped means left: with a client's last connection the
/// slot and the name are free, and the history knows when.
#[derive(Debug)]
pub struct Slot {
    shared: Arc<Shared>,
    number: u64,
    name: ClientName,
    holder: Holder,
    limits: Arc<ClientLimits>,
    joined: bool,
}

impl Registry {
    /// With `max_clients` slots; comings and goings are told to `history`.
    #[must_use]
    pub fn new(max_clients: usize, history: Arc<History>) -> Self {
        Self { shared: Arc::new(Shared { max_clients, history, state: Mutex::default() }) }
    }

    /// How many clients may be connected at once.
    #[must_use]
    pub fn max_clients(&self) -> usize {
        self.shared.max_clients
    }

    /// How many clients are connected.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.lock().clients.len()
    }

    /// Takes a slot, or a share in the one this client has.
    ///
    /// # Errors
    /// [`EntryError`].
    pub fn enter(&self, name: ClientName, holder: Holder) -> Result<Slot, EntryError> {
        let shared = &self.shared;
        let mut state = shared.lock();
        let same = state.clients.get_mut(&name.key());
        if let Some(client) = same
            && client.holder == holder
            && holder != Holder::Connection
        {
            if client.connections >= limits::CONNECTIONS_PER_CLIENT {
                return Err(EntryError::TooManyConnections(client.name.clone()));
            }
            client.connections += 1;
            let Client { number, ref name, ref limits, .. } = *client;
            let (name, limits) = (name.clone(), limits.clone());
            return Ok(Slot { shared: shared.clone(), number, name, holder, limits, joined: true });
        }
        if state.clients.len() >= shared.max_clients {
            state.last_number += 1;
            let (number, max_clients) = (state.last_number, shared.max_clients);
            return Err(EntryError::Busy { number, max_clients });
        }
        if let Some(other) = state.clients.get(&name.key()) {
            return Err(EntryError::NameTaken(other.name.clone()));
        }
        state.last_number += 1;
        let number = state.last_number;
        let limits = Arc::new(ClientLimits::default());
        let client =
            Client { number, name: name.clone(), holder, connections: 1, limits: limits.clone() };
        state.clients.insert(name.key(), client);
        // Within the lock, so that no status shows a later number without this one.
        shared.history.begin(number, name.clone(), Utc::now());
        Ok(Slot { shared: shared.clone(), number, name, holder, limits, joined: false })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
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
    pub fn holder(&self) -> Holder {
        self.holder
    }

    /// What all connections of the client may do at once.
    #[must_use]
    pub fn limits(&self) -> &Arc<ClientLimits> {
        &self.limits
    }

    /// Whether the client was here before, with another connection.
    #[must_use]
    pub fn joined(&self) -> bool {
        self.joined
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let Some(client) = state.clients.get_mut(&self.name.key()) else { return };
        client.connections -= 1;
        if client.connections > 0 {
            return;
        }
        state.clients.remove(&self.name.key());
        self.shared.history.end(self.number, Utc::now());
        let count = state.clients.len();
        drop(state);
        info!("Client {}: {} has disconnected", self.number, self.name);
        info!("client count: {count} of {}", self.shared.max_clients);
    }
}

#[cfg(test)]
mod tests;
