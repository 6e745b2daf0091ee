//! The connections that listen, each with a bounded queue of replies. Knows no streams.

use std::collections::HashMap;

use quiver_protocol::{ClientRef, Fingerprint, Reply};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;

use super::ConnectionId;

/// Replies that wait for a listening client. One more, and it loses its stream: a client that reads takes each at once.
const QUEUE_CAPACITY: usize = 256;

/// The replies for a connection that listens. Dropping it ends the listening.
#[derive(Debug)]
pub struct ListenerQueue {
    replies: mpsc::Receiver<Reply>,
    overflowed: CancellationToken,
}

/// All listening connections.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    last_age: u64,
    listeners: HashMap<ConnectionId, Listener>,
}

#[derive(Debug)]
struct Listener {
    /// Its place in the order in which connections began to listen.
    age: u64,
    client: u64,
    key: Fingerprint,
    replies: mpsc::Sender<Reply>,
    overflowed: CancellationToken,
}

impl ListenerQueue {
    /// Waits for the next reply. Never resolves once the queue has overflowed.
    pub async fn next(&mut self) -> Reply {
        match self.replies.recv().await {
            Some(reply) => reply,
            None => std::future::pending().await,
        }
    }

    /// The next reply, if there is one.
    pub fn try_next(&mut self) -> Option<Reply> {
        self.replies.try_recv().ok()
    }

    /// Cancelled when a reply did not fit: the client reads too slowly, and has missed it.
    #[must_use]
    pub fn overflowed(&self) -> CancellationToken {
        self.overflowed.clone()
    }
}

impl Listeners {
    /// Adds a connection; `None` if it listens already.
    pub(super) fn add(
        &mut self,
        connection: ConnectionId,
        client: u64,
        key: Fingerprint,
    ) -> Option<ListenerQueue> {
        if self.is_listening(connection) {
            return None;
        }
        self.last_age += 1;
        let (sender, replies) = mpsc::channel(QUEUE_CAPACITY);
        let overflowed = CancellationToken::new();
        let listener = Listener {
            age: self.last_age,
            client,
            key,
            replies: sender,
            overflowed: overflowed.clone(),
        };
        self.listeners.insert(connection, listener);
        Some(ListenerQueue { replies, overflowed })
    }

    pub(super) fn remove(&mut self, connection: ConnectionId) {
        self.listeners.remove(&connection);
    }

    pub(super) fn is_listening(&self, connection: ConnectionId) -> bool {
        self.listeners.get(&connection).is_some_and(|listener| !listener.replies.is_closed())
    }

    /// The number of listening connections.
    pub(super) fn count(&self) -> usize {
        self.listeners.values().filter(|listener| !listener.replies.is_closed()).count()
    }

    /// Those of the connections that listen, with their keys: the one that began last comes first.
    pub(super) fn newest_first(
        &self,
        connections: &[ConnectionId],
    ) -> Vec<(ConnectionId, Fingerprint)> {
        let listening = connections.iter().filter(|connection| self.is_listening(**connection));
        let mut listening: Vec<_> = listening
            .filter_map(|connection| Some((*connection, self.listeners.get(connection)?)))
            .collect();
        listening.sort_by_key(|(_, listener)| std::cmp::Reverse(listener.age));
        listening.into_iter().map(|(connection, listener)| (connection, listener.key)).collect()
    }

    /// Queues a reply for one connection. Returns whether it listens and its queue has space.
    pub(super) fn send(&mut self, connection: ConnectionId, reply: Reply) -> bool {
        let Some(listener) = self.listeners.get(&connection) else { return false };
        let is_sent = listener.send(reply);
        if !is_sent {
            self.listeners.remove(&connection);
        }
        is_sent
    }

    /// Queues a reply about a client for the connections of all other clients.
    pub(super) fn broadcast(&mut self, client: &ClientRef, reply: fn(ClientRef) -> Reply) {
        self.listeners.retain(|_, listener| {
            listener.client == client.client || listener.send(reply(client.clone()))
        });
    }
}

impl Listener {
    fn send(&self, reply: Reply) -> bool {
        match self.replies.try_send(reply) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.overflowed.cancel();
                false
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}
