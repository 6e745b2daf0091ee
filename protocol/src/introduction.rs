//! Introductions of two clients' connections by their server, as it describes them.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::command::is_false;
use crate::hash::{Fingerprint, IntroductionId};
use crate::name::ClientName;

/// The other side of an introduction. The server vouches for the key; it does not know what the two
/// clients exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// The introduction's id, the same for both sides.
    pub id: IntroductionId,
    /// The other client's number.
    pub client: u64,
    /// Its name.
    pub name: ClientName,
    /// The key of the connection that was introduced.
    pub key: Fingerprint,
    /// Whether the name is an account, whose password the other client has given. An account may
    /// have several keys, one for each machine.
    #[serde(default, skip_serializing_if = "is_false")]
    pub account: bool,
    /// Whether the server relays packets between the two.
    #[serde(default, skip_serializing_if = "is_false")]
    pub relay: bool,
    /// The earlier introduction of the same two connections, if they were introduced again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<IntroductionId>,
}

/// The addresses of both sides of an introduction, as the server sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedAddresses {
    /// The address of the client that asks.
    pub own: SocketAddr,
    /// The address of the other client.
    pub other: SocketAddr,
}

/// A client that has connected or disconnected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRef {
    /// The client's number.
    pub client: u64,
    /// Its name.
    pub name: ClientName,
}
