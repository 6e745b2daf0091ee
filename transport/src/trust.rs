//! Verification of certificates in the TLS handshake. No files or terminals in here.
//!
//! Certificates are self-signed and identified by the fingerprint of their key, so there is no
//! chain or name to check. A client always checks the dates of the server's certificate. Both sides
//! always check the signature over the handshake: without it, a copy of a public certificate would
//! be enough to impersonate its owner.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use quiver_protocol::Fingerprint;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use thiserror::Error as ThisError;

use crate::crypto;
use crate::identity::CertificateInfo;

/// Why a server's certificate was rejected.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum TrustError {
    /// The certificate's key is not the pinned one.
    #[error("the server's fingerprint is {presented}, expected {expected}")]
    WrongKey {
        /// The pinned fingerprint.
        expected: Fingerprint,
        /// The fingerprint of the server's key.
        presented: Fingerprint,
    },
    /// The certificate has expired.
    #[error("the server's certificate expired on {}", .0.format("%Y-%m-%d"))]
    Expired(DateTime<Utc>),
    /// The certificate is not valid yet.
    #[error("the server's certificate is not valid before {}", .0.format("%Y-%m-%d"))]
    NotYetValid(DateTime<Utc>),
    /// The server does not hold the key of its certificate.
    #[error("the server does not hold the key of its certificate")]
    BadSignature,
    /// The certificate cannot be read.
    #[error("the server's certificate cannot be read")]
    Unreadable,
}

/// Verifies a server's certificate for a client.
///
/// Stores the reason of a rejection, because the error loses its type on its way through TLS.
#[derive(Debug)]
pub struct ServerVerifier {
    pinned: Option<Fingerprint>,
    checks_dates: bool,
    provider: Arc<CryptoProvider>,
    rejection: Mutex<Option<TrustError>>,
}

impl ServerVerifier {
    /// Accepts only the server with this fingerprint. With `None`, accepts any server that holds
    /// the key of its certificate: the caller must then ask the user before it sends anything.
    #[must_use]
    pub fn new(pinned: Option<Fingerprint>) -> Arc<Self> {
        Self::create(pinned, true)
    }

    /// Accepts only the client with this fingerprint, for a connection between two clients. The dates of its
    /// certificate do not matter: a client keeps its certificate as long as its key.
    #[must_use]
    pub fn for_peer(key: Fingerprint) -> Arc<Self> {
        Self::create(Some(key), false)
    }

    fn create(pinned: Option<Fingerprint>, checks_dates: bool) -> Arc<Self> {
        let (provider, rejection) = (crypto::provider(), Mutex::new(None));
        Arc::new(Self { pinned, checks_dates, provider, rejection })
    }

    /// Why the server's certificate was rejected, if it was.
    #[must_use]
    pub fn rejection(&self) -> Option<TrustError> {
        self.rejection.lock().clone()
    }

    fn check(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), TrustError> {
        let info = CertificateInfo::read(certificate).map_err(|_| TrustError::Unreadable)?;
        if let Some(expected) = self.pinned
            && expected != info.fingerprint
        {
            return Err(TrustError::WrongKey { expected, presented: info.fingerprint });
        }
        if !self.checks_dates {
            return Ok(());
        }
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now < info.not_before.timestamp() {
            return Err(TrustError::NotYetValid(info.not_before));
        }
        if now > info.not_after.timestamp() {
            return Err(TrustError::Expired(info.not_after));
        }
        Ok(())
    }

    /// Stores the reason, and returns it as an error of TLS.
    fn reject(&self, reason: TrustError) -> Error {
        let error = match reason {
            TrustError::WrongKey { .. } => CertificateError::ApplicationVerificationFailure,
            TrustError::Expired(_) => CertificateError::Expired,
            TrustError::NotYetValid(_) => CertificateError::NotValidYet,
            TrustError::BadSignature => CertificateError::BadSignature,
            TrustError::Unreadable => CertificateError::BadEncoding,
        };
        *self.rejection.lock() = Some(reason);
        error.into()
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, now).map_err(|reason| self.reject(reason))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("QUIC has no TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
            .map_err(|_| self.reject(TrustError::BadSignature))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Verifies the certificate of the dialling side for the accepting side. Accepts any certificate
/// whose key the dialling side holds: only its fingerprint is used, which the caller compares
/// ([`peer_fingerprint`]).
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    provider: Arc<CryptoProvider>,
    is_required: bool,
}

impl ClientVerifier {
    /// Creates a verifier. With `is_required`, a dialling side without a certificate is rejected.
    pub(crate) fn new(is_required: bool) -> Self {
        Self { provider: crypto::provider(), is_required }
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        CertificateInfo::read(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("QUIC has no TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The fingerprint of the other side's certificate, whose key it has proved to hold; `None` without
/// one.
#[must_use]
pub fn peer_fingerprint(connection: &quinn::Connection) -> Option<Fingerprint> {
    let identity = connection.peer_identity()?;
    let chain = identity.downcast_ref::<Vec<CertificateDer<'static>>>()?;
    crate::identity::fingerprint(chain.first()?).ok()
}
