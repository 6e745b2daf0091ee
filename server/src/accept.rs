//! Admission: accepts incoming connections, completes their handshakes, and owns the tasks that serve them.

use std::sync::Arc;

use quinn::Incoming;
use quiver_protocol::CloseCode;
use quiver_transport::{Endpoint, close};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, error};

use crate::client_connection::canonical_address;
use crate::config::{ADDRESS_VALIDATION_THRESHOLD, GUEST_TIMEOUT, MAX_GUESTS, MAX_HANDSHAKES};
use crate::handshake_queue::HandshakeQueue;
use crate::server_state::ServerState;
use crate::session::guest::Guest;

/// Accepts connections until the server stops, then waits until the last of them has ended.
pub async fn run(endpoint: &Endpoint, state: Arc<ServerState>) {
    let queues = AdmissionQueues {
        handshakes: HandshakeQueue::new(MAX_HANDSHAKES),
        guests: HandshakeQueue::new(MAX_GUESTS),
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = state.stopping.cancelled() => break,
            Some(ended) = connections.join_next() => log_panic(ended),
            incoming = endpoint.accept() => {
                let Some(incoming) = incoming else { break };
                if let Some(incoming) = admit(incoming, &queues) {
                    let (endpoint, queues) = (endpoint.clone(), queues.clone());
                    connections.spawn(serve_connection(endpoint, incoming, queues, state.clone()));
                }
            }
        }
    }
    // New connections are refused explicitly: clients would otherwise wait for a timeout.
    while !connections.is_empty() {
        tokio::select! {
            Some(ended) = connections.join_next() => log_panic(ended),
            Some(incoming) = endpoint.accept() => incoming.refuse(),
        }
    }
}

#[derive(Debug, Clone)]
struct AdmissionQueues {
    handshakes: HandshakeQueue,
    guests: HandshakeQueue,
}

/// Passes an incoming connection on. Under load, asks for address validation first (a Retry packet; RFC 9000,
/// section 8.1.2) and returns `None`.
fn admit(incoming: Incoming, queues: &AdmissionQueues) -> Option<Incoming> {
    let is_under_load = queues.handshakes.len() >= ADDRESS_VALIDATION_THRESHOLD;
    if is_under_load && !incoming.remote_address_validated() && incoming.may_retry() {
        if let Err(error) = incoming.retry() {
            debug!("cannot ask for address validation: {error}");
        }
        return None;
    }
    Some(incoming)
}

/// Completes the handshake of a connection, then serves it as a guest and as a member until it ends.
async fn serve_connection(
    endpoint: Endpoint,
    incoming: Incoming,
    queues: AdmissionQueues,
    state: Arc<ServerState>,
) {
    let address = canonical_address(incoming.remote_address());
    let mut ticket = queues.handshakes.enter();
    let handshake = match endpoint.start_handshake(incoming) {
        Ok(handshake) => handshake,
        Err(error) => return debug!("no handshake with {address}: {error}"),
    };
    drop(endpoint);
    let connection = tokio::select! {
        () = ticket.evicted() => return debug!("handshake with {address} made room for others"),
        () = state.stopping.cancelled() => return,
        accepted = timeout(GUEST_TIMEOUT, handshake.complete()) => match accepted {
            Ok(Ok(accepted)) => accepted.connection,
            Ok(Err(error)) => {
                // A `ConnectionEnd` escapes the text that the client sent.
                return debug!("handshake with {address} failed: {error}");
            }
            Err(_) => return debug!("handshake with {address} took too long"),
        },
    };
    drop(ticket);
    let open_guest = state.metrics.count_guest();
    let guest = Guest::new(connection.clone(), address, state.clone());
    let member = tokio::select! {
        () = state.stopping.cancelled() => {
            return close(&connection, CloseCode::ShuttingDown);
        }
        member = guest.greet(&queues.guests) => member,
    };
    drop(open_guest);
    if let Some(member) = member {
        member.run().await;
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        // The guards of the connection have run: it is closed and its slot is free. Other connections are not
        // affected.
        error!("a connection's task failed: {error}");
    }
}
