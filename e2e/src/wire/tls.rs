//! TLS as docs/protocol.md describes it: a pinned server, a client's own key, one ALPN.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_parser::prelude::{ASN1Time, FromDer as _, X509Certificate};

use crate::fingerprint::fingerprint;

/// A client's key with its self-signed certificate.
#[derive(Debug, Clone)]
pub struct Key {
    certificate: CertificateDer<'static>,
    pem: String,
    key: Vec<u8>,
}

impl Key {
    /// Generates a new one.
    ///
    /// # Panics
    /// If the system has no randomness.
    #[must_use]
    pub fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["a client".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        Self {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            key: key.serialize_der(),
        }
    }

    /// Reads one from PEM files.
    ///
    /// # Panics
    /// If they contain none.
    #[must_use]
    pub fn load(certificate: &Path, key: &Path) -> Self {
        let pem = fs::read_to_string(certificate).unwrap();
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let key = PrivatePkcs8KeyDer::from_pem_file(key).unwrap();
        Self { certificate, pem, key: key.secret_pkcs8_der().to_owned() }
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its certificate as PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its private key.
    #[must_use]
    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    /// Its private key as PEM.
    ///
    /// # Panics
    /// If the key is invalid.
    #[must_use]
    pub fn private_key_pem(&self) -> String {
        rcgen::KeyPair::try_from(self.key.as_slice()).unwrap().serialize_pem()
    }

    /// Its fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.certificate)
    }
}

impl Default for Key {
    fn default() -> Self {
        Self::new()
    }
}

/// A client's TLS configuration: accepts the server with this fingerprint, shows `key` if requested.
///
/// # Panics
/// If the key is invalid.
#[must_use]
pub fn client_config(fingerprint: &str, key: Option<&Key>, alpn: &[u8]) -> QuicClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let pin =
        FingerprintVerifier { fingerprint: fingerprint.to_owned(), provider: provider.clone() };
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pin));
    let mut config = match key {
        Some(key) => {
            builder.with_client_auth_cert(vec![key.certificate.clone()], key.private_key()).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    config.try_into().unwrap()
}

/// A server's TLS configuration: shows `key`, requests no client certificate.
///
/// # Panics
/// If the key is invalid.
#[must_use]
pub fn server_config(key: &Key) -> QuicServerConfig {
    let mut config =
        rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.certificate.clone()], key.private_key())
            .unwrap();
    config.alpn_protocols = vec![b"quiver/1".to_vec()];
    config.try_into().unwrap()
}

/// Accepts one key while its certificate is valid.
#[derive(Debug)]
struct FingerprintVerifier {
    fingerprint: String,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for FingerprintVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (_, certificate) =
            X509Certificate::from_der(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        let now = ASN1Time::from_timestamp(now.as_secs() as i64)
            .map_err(|_| CertificateError::BadEncoding)?;
        if !certificate.validity().is_valid_at(now) {
            return Err(CertificateError::Expired.into());
        }
        if fingerprint(end_entity) != self.fingerprint {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".to_owned()))
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
