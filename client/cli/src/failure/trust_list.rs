//! Why `trust` fails. Connects to no server.

use quiver_client::folders::FolderError;
use quiver_client::known_servers::KnownServersError;
use thiserror::Error;

/// Why the list of known servers is not shown or changed.
#[derive(Debug, Error)]
pub enum TrustListError {
    /// There is no folder for the list.
    #[error("there is no folder with known servers: {0}")]
    Folder(FolderError),
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] KnownServersError),
    /// The server to forget is not known.
    #[error("{0} is not a known server")]
    Unknown(String),
}
