//! Why the client does not trust a server. All of these errors have the same exit code.

use std::path::PathBuf;

use quiver_protocol::Fingerprint;
use quiver_protocol::text::display_path;
use quiver_transport::TrustError;
use thiserror::Error;

use crate::known_servers::KnownServersError;

/// Why the client does not trust a server. The client has sent no request to it.
#[derive(Debug, Error)]
pub enum UntrustedServer {
    /// The server's certificate is not the one that `--cert` names.
    #[error(
        "{server} is not the server of {}\n  expected fingerprint {expected}\n  its fingerprint is   {presented}",
        display_path(certificate)
    )]
    CertificateMismatch {
        /// The server.
        server: String,
        /// The file.
        certificate: PathBuf,
        /// The fingerprint of the certificate in the file.
        expected: Fingerprint,
        /// The server's fingerprint.
        presented: Fingerprint,
    },
    /// The server's key is not the one that the user has confirmed.
    #[error(
        "the key of {server} has changed\n  known fingerprint  {expected}\n  its fingerprint is {presented}"
    )]
    FingerprintChanged {
        /// The server.
        server: String,
        /// The fingerprint that the user has confirmed.
        expected: Fingerprint,
        /// The server's present fingerprint.
        presented: Fingerprint,
        /// The file of known servers.
        file: PathBuf,
        /// The line with the confirmed fingerprint, from 1.
        line: usize,
    },
    /// The user has not confirmed the server, and no interface can ask.
    #[error("{server} is not known\n  its fingerprint is {presented}")]
    UnknownServer {
        /// The server.
        server: String,
        /// The server's fingerprint.
        presented: Fingerprint,
    },
    /// The key of the server is not known, and no connection is made to learn it.
    #[error("the key of {0} is not known")]
    NoKnownKey(String),
    /// The user declined to trust the server.
    #[error("{0} is not trusted")]
    Declined(String),
    /// The fingerprint that the user entered is not the server's.
    #[error(
        "the fingerprint that you entered is not that of {server}\n  entered fingerprint {entered}\n  its fingerprint is  {presented}"
    )]
    OtherFingerprint {
        /// The server.
        server: String,
        /// The fingerprint that the user entered.
        entered: Fingerprint,
        /// The server's fingerprint.
        presented: Fingerprint,
    },
    /// The server's certificate is invalid, or the server does not hold its key.
    #[error("cannot trust {server}: {why}")]
    InvalidCertificate {
        /// The server.
        server: String,
        /// The reason.
        why: TrustError,
    },
    /// The file of known servers cannot be read or written.
    #[error(transparent)]
    KnownServers(#[from] KnownServersError),
}
