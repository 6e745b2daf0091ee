//! The path of a connection between two clients: over the server or direct, and why.

use std::net::SocketAddr;
use std::time::Duration;

use quiver_protocol::{ClientName, Fingerprint};

/// The path of a connection with another client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerPath {
    /// The server passes encrypted packets.
    Relayed {
        /// Why there is no direct connection.
        why: NotDirect,
    },
    /// The two clients exchange packets with each other.
    Direct {
        /// The other client's address.
        address: SocketAddr,
    },
    /// There is no connection.
    Closed,
}

/// Why two clients have no direct connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotDirect {
    /// Not tried yet: this person has not accepted the other one. Whether the other one has accepted is not known.
    NotAccepted,
    /// Not tried yet: the other person has accepted, and this one has not.
    NotAcceptedLocally,
    /// Not tried yet: this person has accepted, and the other one has not.
    NotAcceptedRemotely,
    /// Attempts are running.
    Trying,
    /// This client connects over the relay only.
    RelayOnly,
    /// The other client does not connect directly.
    Declined,
    /// No attempt has succeeded: the networks do not let the clients reach each other.
    Unreachable,
    /// The direct connection was lost.
    Lost,
}

/// The connection with another client.
#[derive(Debug, Clone)]
pub struct PeerStatus {
    /// The other client.
    pub name: ClientName,
    /// Its key.
    pub key: Fingerprint,
    /// The path now.
    pub path: PeerPath,
    /// The path before.
    pub previous: Option<PeerPath>,
    /// The round-trip time of the path; `None` if there is none.
    pub round_trip: Option<Duration>,
    /// Bytes sent and received over the relay.
    pub relayed_bytes: u64,
    /// Bytes sent and received directly.
    pub direct_bytes: u64,
}
