//! How the connection to the server is made, as values: for people who want to know more than that it works.

use std::path::PathBuf;
use std::time::Duration;

use quiver_protocol::{ClientName, Fingerprint};
use quiver_transport::PathFacts;

/// A step on the way to a session.
#[derive(Debug, Clone)]
pub enum ConnectionDetail {
    /// The server whose key is known.
    Trusted {
        /// The fingerprint of its key.
        fingerprint: Fingerprint,
        /// How this client knows it.
        source: TrustSource,
    },
    /// The server's addresses are dialled.
    Dialling {
        /// The server.
        server: String,
    },
    /// The server has answered, with the right key.
    Dialled {
        /// The path to it.
        path: PathFacts,
        /// How long dialling took.
        took: Duration,
    },
    /// The client is signed in.
    SignedIn {
        /// Its name.
        name: ClientName,
        /// Its number.
        client: u64,
        /// Whether it may change files on the server.
        may_upload: bool,
    },
}

/// How this client knows the key of the server.
#[derive(Debug, Clone)]
pub enum TrustSource {
    /// From a file with its certificate.
    Certificate(PathBuf),
    /// From an earlier confirmation, in a line of a file.
    KnownServers {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// From the confirmation in this run.
    Confirmed,
}
