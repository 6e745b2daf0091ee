//! Why an endpoint could not be opened, or a connection not be established.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

use crate::close::ConnectionEnd;
use crate::tls::TlsError;
use crate::trust::TrustError;
use crate::unix;

/// Why an endpoint could not be opened.
#[derive(Debug, Error)]
pub enum EndpointError {
    /// The socket could not be opened or bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The local address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// TLS cannot use the identity.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl EndpointError {
    /// Whether the address is an IPv6 address and the system has no IPv6.
    #[must_use]
    pub fn is_ipv6_unavailable(&self) -> bool {
        match self {
            Self::Bind { address, source } => {
                address.is_ipv6() && unix::is_address_unavailable(source)
            }
            Self::Tls(_) => false,
        }
    }
}

/// Why a connection could not be established.
#[derive(Debug, Error)]
pub enum DialError {
    /// The other side's certificate was rejected. No application data was sent.
    #[error(transparent)]
    Trust(TrustError),
    /// The handshake failed or timed out.
    #[error(transparent)]
    Ended(ConnectionEnd),
    /// The address cannot be dialled.
    #[error("cannot dial: {0}")]
    Address(String),
    /// The protocol requires a certificate, and the caller passed no identity.
    #[error("this protocol requires a certificate")]
    NoCertificate,
    /// TLS cannot use the identity.
    #[error(transparent)]
    Tls(#[from] TlsError),
}
