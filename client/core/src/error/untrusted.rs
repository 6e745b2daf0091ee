//! Why a server is not talked to: all of them one exit code.

use std::path::PathBuf;

use quiver_protocol::Fingerprint;
use quiver_protocol::text::display_path;
use quiver_transport::TrustError;
use thiserror::Error;

use crate::known_servers::KnownServersError;

/// Why a server is not talked to. Nothing was said to it.
#[derive(Debug, Error)]
pub enum UntrustedServer {
    /// Its certificate is not the one that `--cert` names.
    #[error(
        "{server} is not the server of {}\n  expected fingerprint {expected}\n  its fingerprint is   {presented}",
        display_path(certificate)
    )]
    CertificateMismatch {
        /// The server.
        server: String,
        /// The file.
        certificate: PathBuf,
        /// The file's fingerprint.
        expected: Fingerprint,
        /// The server's.
        presented: Fingerprint,
    },
    /// Its key is not the one that was confirmed.
    #[error(
        "{server} is not the server it was\n  known fingerprint  {expected}\n  its fingerprint is {presented}"
    )]
    FingerprintChanged {
        /// The server.
        server: String,
        /// What was confirmed.
        expected: Fingerprint,
        /// What it shows now.
        presented: Fingerprint,
        /// Where the confirmed one stands.
        file: PathBuf,
        /// On which line.
        line: usize,
    },
    /// Nobody confirmed it, and there is nobody to ask.
    #[error("{server} is not known\n  its fingerprint is {presented}")]
    UnknownServer {
        /// The server.
        server: String,
        /// What it shows.
        presented: Fingerprint,
    },
    /// The person said no.
    #[error("{0} is not trusted")]
    Declined(String),
    /// Its certificate is over, or it does not hold the key.
    #[error("cannot trust {server}: {why}")]
    InvalidCertificate {
        /// The server.
        server: String,
        /// What is wrong.
        why: TrustError,
    },
    /// What is known cannot be read or kept.
    #[error(transparent)]
    KnownServers(#[from] KnownServersError),
}
