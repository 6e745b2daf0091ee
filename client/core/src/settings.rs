//! The settings of a client: the server, and the name to sign in with. Immutable. The interface decides where they
//! come from.

use std::path::PathBuf;
use std::time::Duration;

use quiver_protocol::ClientName;
use quiver_transport::{CongestionControl, EndpointSettings};

use crate::address::ServerAddress;

/// Timeout of dialling all addresses of a server, and of its answer to a hello.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Settings of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSettings {
    /// The server.
    pub server: ServerAddress,
    /// The file with the server's certificate: the client trusts no other server. If absent, the user confirms the
    /// server's fingerprint once, and the client remembers it.
    pub certificate: Option<PathBuf>,
    /// The client's name. If absent, the client asks for it, or takes the login name if no interface can be asked.
    pub name: Option<ClientName>,
    /// The file with the password. If absent, the client asks for it when the server requires one.
    pub password_file: Option<PathBuf>,
    /// Idle timeout of the server within a command, and timeout of connecting as a whole.
    pub timeout: Duration,
    /// Which paths connections with other clients use.
    pub paths: PathPolicy,
    /// Whether this client only runs one command. The server then remembers it for a shorter time.
    pub one_shot: bool,
    /// The congestion control of what this client sends, to the server and to other clients.
    pub congestion: CongestionControl,
}

impl ClientSettings {
    /// The settings of the endpoint that the client is to use.
    #[must_use]
    pub fn endpoint(&self) -> EndpointSettings {
        EndpointSettings { congestion: self.congestion, ..EndpointSettings::default() }
    }
}

/// Which paths connections with other clients use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PathPolicy {
    /// Over the server's relay at first, and directly as soon as possible.
    #[default]
    Any,
    /// Over the relay only: no other client learns this one's address.
    RelayOnly,
    /// Directly only: without a direct connection there is none.
    DirectOnly,
}
