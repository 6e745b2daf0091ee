//! Why a server is not talked to: all of them one exit code.

use std::path::PathBuf;

use quiver_protocol::Fingerprint;
use quiver_protocol::text::display_path;
use quiver_transport::TrustError;
use thiserror::Error;

use quiver_client::known_servers::KnownServersError;

/// Why a server is not talked to. Nothing was said to it.
#[derive(Debug, Error)]
pub enum Untrusted {
    /// Its certificate is not the one that `--cert` names.
    #[error(
        "{server} is not the server of {}\n  expected fingerprint {expected}\n  its fingerprint is   {presented}",
        display_path(certificate)
    )]
    NotTheCertificate {
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
    Changed {
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
    Unknown {
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
    Certificate {
        /// The server.
        server: String,
        /// What is wrong.
        why: TrustError,
    },
    /// What is known cannot be read or kept.
    #[error(transparent)]
    KnownServers(#[from] KnownServersError),
}

impl Untrusted {
    /// What to do about it.
    pub(super) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotTheCertificate { .. } => {
                "copy the server's present server.pem if it was renewed; else somebody is in between"
                    .to_owned()
            }
            Self::Changed { file, line, server, expected, .. } => format!(
                "somebody may be in between. If the server was set up anew, remove line {line} of {}:\n  \
                 {server} {expected}",
                display_path(file)
            ),
            Self::Unknown { .. } | Self::Declined(_) => {
                "--cert FILE trusts the server with that certificate".to_owned()
            }
            Self::Certificate { why: TrustError::NotYetValid(_), .. } => {
                "is this machine's clock right?".to_owned()
            }
            Self::Certificate { why: TrustError::Expired(_), .. } => {
                "is this machine's clock right? else the server needs a new certificate".to_owned()
            }
            Self::Certificate { .. } => return None,
            Self::KnownServers(KnownServersError::Line { .. }) => {
                "correct or remove that line".to_owned()
            }
            Self::KnownServers(_) => "--cert FILE does without that file".to_owned(),
        })
    }
}
