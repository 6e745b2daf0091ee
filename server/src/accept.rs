//! Admission: who may begin a handshake, who becomes a guest, and what becomes of them all.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::Incoming;
use quiver_protocol::CloseCode;
use quiver_transport::{Endpoint, close};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, error};

use crate::config::{ADDRESS_VALIDATION_THRESHOLD, GUEST_TIMEOUT, MAX_GUESTS, MAX_HANDSHAKES};
use crate::handshake_queue::HandshakeQueue;
use crate::session::guest::Guest;
use crate::shared::ServerState;

/// Takes connections until the server stops, then waits until the last of them has ended.
pub async fn run(endpoint: &Endpoint, shared: Arc<ServerState>) {
    let queues = Queues {
        handshakes: HandshakeQueue::new(MAX_HANDSHAKES),
        guests: HandshakeQueue::new(MAX_GUESTS),
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => break,
            Some(ended) = connections.join_next() => note(ended),
            incoming = endpoint.accept() => {
                let Some(incoming) = incoming else { break };
                if let Some(incoming) = admit(incoming, &queues) {
                    let (endpoint, queues) = (endpoint.clone(), queues.clone());
                    connections.spawn(connection(endpoint, incoming, queues, shared.clone()));
                }
            }
        }
    }
    // Whoever knocks now is told at once: an endpoint that takes nobody would leave it waiting.
    while !connections.is_empty() {
        tokio::select! {
            Some(ended) = connections.join_next() => note(ended),
            Some(incoming) = endpoint.accept() => incoming.refuse(),
        }
    }
}

#[derive(Debug, Clone)]
struct Queues {
    handshakes: HandshakeQueue,
    guests: HandshakeQueue,
}

/// Under load an address must prove that it is one, before it costs a handshake.
fn admit(incoming: Incoming, queues: &Queues) -> Option<Incoming> {
    let crowded = queues.handshakes.len() >= ADDRESS_VALIDATION_THRESHOLD;
    if crowded && !incoming.remote_address_validated() && incoming.may_retry() {
        if let Err(error) = incoming.retry() {
            debug!("cannot ask for address validation: {error}");
        }
        return None;
    }
    Some(incoming)
}

/// A connection's whole life.
async fn connection(
    endpoint: Endpoint,
    incoming: Incoming,
    queues: Queues,
    shared: Arc<ServerState>,
) {
    let address = canonical(incoming.remote_address());
    let mut ticket = queues.handshakes.enter();
    let handshake = match endpoint.admit(incoming) {
        Ok(handshake) => handshake,
        Err(error) => return debug!("no handshake with {address}: {error}"),
    };
    drop(endpoint);
    let connection = tokio::select! {
        () = ticket.lost() => return debug!("handshake with {address} made room for others"),
        () = shared.stopping.cancelled() => return,
        accepted = timeout(GUEST_TIMEOUT, handshake.complete()) => match accepted {
            Ok(Ok(accepted)) => accepted.connection,
            Ok(Err(error)) => {
                // As an end of a connection: what the other side says of it is not logged as it is.
                return debug!("handshake with {address} failed: {error}");
            }
            Err(_) => return debug!("handshake with {address} took too long"),
        },
    };
    drop(ticket);
    let here = shared.metrics.guest();
    let guest = Guest::new(connection.clone(), address, shared.clone());
    let member = tokio::select! {
        () = shared.stopping.cancelled() => {
            return close(&connection, CloseCode::ShuttingDown);
        }
        member = guest.greet(&queues.guests) => member,
    };
    drop(here);
    if let Some(member) = member {
        member.run().await;
    }
}

/// An IPv4 client of a dual-stack socket goes by its IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    (address.ip().to_canonical(), address.port()).into()
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        // The connection is gone, its slot is free: its guards ran. The others go on.
        error!("a connection's task failed: {error}");
    }
}
