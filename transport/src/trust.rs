//! Which certificates are believed. Knows TLS, nothing of files or terminals.
//!
//! Certificates here are self-signed and known by their key's fingerprint, so there is no chain and
//! no name to check. What is always checked: the certificate's dates, and the signature over the
//! handshake, without which a copy of a public certificate would be enough to impersonate its owner.

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

/// Why a server was not believed.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum TrustError {
    /// The certificate shows another key than the pinned one.
    #[error("the server's fingerprint is {presented}, expected {expected}")]
    WrongKey {
        /// The pinned fingerprint.
        expected: Fingerprint,
        /// The server's.
        presented: Fingerprint,
    },
    /// The certificate's time is over.
    #[error("the server's certificate expired on {}", .0.format("%Y-%m-%d"))]
    Expired(DateTime<Utc>),
    /// The certificate's time has not come.
    #[error("the server's certificate is not valid before {}", .0.format("%Y-%m-%d"))]
    NotYetValid(DateTime<Utc>),
    /// The peer does not have the key its certificate shows.
    #[error("the server does not hold the key of its certificate")]
    BadSignature,
    /// The certificate cannot be read.
    #[error("the server's certificate cannot be read")]
    Unreadable,
}

/// What a client makes of a server's certificate.
///
/// Keeps its judgement, for the error that travels through TLS and QUIC loses its type on the way.
#[derive(Debug)]
pub struct ServerVerifier {
    pinned: Option<Fingerprint>,
    provider: Arc<CryptoProvider>,
    judgement: Mutex<Option<TrustError>>,
}

impl ServerVerifier {
    /// Believes the server with this fingerprint; with `None` any server that holds its
    /// certificate's key, for a caller who then asks a person before a word is said.
    #[must_use]
    pub fn new(pinned: Option<Fingerprint>) -> Arc<Self> {
        Arc::new(Self { pinned, provider: crypto::provider(), judgement: Mutex::new(None) })
    }

    /// Why the last handshake was refused, where the server's certificate was the reason.
    #[must_use]
    pub fn judgement(&self) -> Option<TrustError> {
        self.judgement.lock().clone()
    }

    fn judge(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), TrustError> {
        let info = CertificateInfo::read(certificate).map_err(|_| TrustError::Unreadable)?;
        if let Some(expected) = self.pinned
            && expected != info.fingerprint
        {
            return Err(TrustError::WrongKey { expected, presented: info.fingerprint });
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

    fn refuse(&self, reason: TrustError) -> Error {
        let error = match reason {
            TrustError::WrongKey { .. } => CertificateError::ApplicationVerificationFailure,
            TrustError::Expired(_) => CertificateError::Expired,
            TrustError::NotYetValid(_) => CertificateError::NotValidYet,
            TrustError::BadSignature => CertificateError::BadSignature,
            TrustError::Unreadable => CertificateError::BadEncoding,
        };
        *self.judgement.lock() = Some(reason);
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
        self.judge(end_entity, now).map_err(|reason| self.refuse(reason))?;
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
            .map_err(|_| self.refuse(TrustError::BadSignature))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What the side that accepts makes of a certificate of the side that dials: any is believed whose key the other
/// side has, since the fingerprint is all that is learned from it. The caller compares it ([`peer_fingerprint`]).
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    provider: Arc<CryptoProvider>,
    is_required: bool,
}

impl ClientVerifier {
    /// `is_required`: refuses those that show no certificate.
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

/// The fingerprint of the key the other side of a connection has proved to hold, where it showed one.
#[must_use]
pub fn peer_fingerprint(connection: &quinn::Connection) -> Option<Fingerprint> {
    let identity = connection.peer_identity()?;
    let chain = identity.downcast_ref::<Vec<CertificateDer<'static>>>()?;
    crate::identity::fingerprint(chain.first()?).ok()
}
