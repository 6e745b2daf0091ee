//! What the client is to connect to, and as what. Immutable; where it was written is the interface's business.

use std::path::PathBuf;
use std::time::Duration;

use quiver_protocol::ClientName;

use crate::address::ServerAddress;

/// How long connecting may take, all addresses and tries together.
pub const CONNECT: Duration = Duration::from_secs(10);

/// Settings of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSettings {
    /// The server.
    pub server: ServerAddress,
    /// The file with its certificate: no other server is trusted. Where absent, the server's fingerprint is confirmed
    /// once and remembered.
    pub certificate: Option<PathBuf>,
    /// The client's name; asked for, or the login name, where absent.
    pub name: Option<ClientName>,
    /// The file with the password; asked for where absent.
    pub password_file: Option<PathBuf>,
    /// The longest silence of the server within a command.
    pub timeout: Duration,
}
