//! The certificates a fake server can show, valid and invalid, and its TLS configuration, which requests a
//! client certificate.

use std::path::Path;
use std::sync::{Arc, Mutex};

use quinn::ServerConfig;
use quinn::crypto::rustls::QuicServerConfig;
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _, date_time_ymd};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use crate::wire::sha256_hex;

/// A certificate, and the key that signs with it, which need not match.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate's file.
    pub pem: String,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    /// The fingerprint of its key.
    pub fingerprint: String,
}

impl Certificate {
    /// A valid one.
    #[must_use]
    pub fn new() -> Self {
        Self::valid_between(1975, 4096)
    }

    /// One that has expired.
    #[must_use]
    pub fn expired() -> Self {
        Self::valid_between(1975, 2001)
    }

    /// One that is not valid yet.
    #[must_use]
    pub fn not_yet_valid() -> Self {
        Self::valid_between(4000, 4096)
    }

    /// The certificate in a file with another key than its own.
    ///
    /// # Panics
    /// If the file has no certificate.
    #[must_use]
    pub fn with_wrong_key(file: &Path) -> Self {
        let mut copy = Self::new();
        copy.certificate = CertificateDer::from_pem_file(file).unwrap();
        copy
    }

    fn valid_between(from: i32, to: i32) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec!["fake server".to_owned()]).unwrap();
        parameters.not_before = date_time_ymd(from, 1, 1);
        parameters.not_after = date_time_ymd(to, 1, 1);
        let certificate = parameters.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
            fingerprint: sha256_hex(&key.subject_public_key_info()),
        }
    }

    fn certified_key(&self) -> Arc<CertifiedKey> {
        let key = PrivatePkcs8KeyDer::from(self.key.clone());
        let key = aws_lc_rs::sign::any_supported_type(&key.into()).unwrap();
        // Does not check that the key belongs to the certificate.
        Arc::new(CertifiedKey::new(vec![self.certificate.clone()], key))
    }
}

impl Default for Certificate {
    fn default() -> Self {
        Self::new()
    }
}

/// The certificate for new handshakes.
#[derive(Debug)]
pub(super) struct CurrentCertificate(Mutex<Arc<CertifiedKey>>);

impl CurrentCertificate {
    pub(super) fn new(certificate: &Certificate) -> Self {
        Self(Mutex::new(certificate.certified_key()))
    }

    pub(super) fn set(&self, certificate: &Certificate) {
        *self.0.lock().unwrap() = certificate.certified_key();
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.lock().unwrap().clone())
    }
}

pub(super) fn server_config(certificate: Arc<CurrentCertificate>) -> ServerConfig {
    let mut config =
        rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(Arc::new(AcceptAnyClient))
            .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"quiver/1".to_vec()];
    ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(config).unwrap()))
}

/// Requests a client certificate, and accepts any or none.
#[derive(Debug)]
struct AcceptAnyClient;

impl ClientCertVerifier for AcceptAnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
