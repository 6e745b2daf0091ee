//! The rustls configurations: TLS 1.3 only, one crypto provider, no early data, no resumption.

use std::sync::Arc;

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::Resumption;
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ServerConfig};
use thiserror::Error;

use crate::alpn::Protocol;
use crate::crypto::provider;
use crate::identity::Identity;
use crate::trust::{ClientVerifier, ServerVerifier};

/// The HKDF label of the key for stateless resets.
const RESET_LABEL: &[u8] = b"quiver/1 stateless reset";

/// Why TLS could not be configured with an identity.
#[derive(Debug, Error)]
#[error("cannot set up TLS: {0}")]
pub struct TlsError(String);

/// The configuration of the accepting side: it shows its identity and asks for a client
/// certificate. TLS requires one only if every protocol does, because it asks before it has
/// negotiated the protocol.
pub(crate) fn server(
    identity: &Identity,
    protocols: &[Protocol],
) -> Result<QuicServerConfig, TlsError> {
    let failed = |error: rustls::Error| TlsError(error.to_string());
    // With an empty list rustls would accept every protocol.
    if protocols.is_empty() {
        return Err(TlsError("there is no protocol to accept".to_owned()));
    }
    let is_required = protocols.iter().all(Protocol::requires_certificate);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(failed)?
        .with_client_cert_verifier(Arc::new(ClientVerifier::new(is_required)))
        .with_single_cert(vec![identity.certificate().clone()], identity.key())
        .map_err(failed)?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.alpn().to_vec()).collect();
    // Early data could be replayed, and in a resumed session the client would not prove that it
    // holds its key.
    config.max_early_data_size = 0;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    QuicServerConfig::try_from(config).map_err(|error| TlsError(error.to_string()))
}

/// The configuration of the dialling side: it offers one protocol, accepts the certificates that
/// `verifier` accepts, and shows its identity if asked.
pub(crate) fn client(
    identity: Option<&Identity>,
    verifier: Arc<ServerVerifier>,
    protocol: Protocol,
) -> Result<QuicClientConfig, TlsError> {
    let failed = |error: rustls::Error| TlsError(error.to_string());
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(failed)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(identity) => builder
            .with_client_auth_cert(vec![identity.certificate().clone()], identity.key())
            .map_err(failed)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![protocol.alpn().to_vec()];
    config.enable_early_data = false;
    config.resumption = Resumption::disabled();
    QuicClientConfig::try_from(config).map_err(|error| TlsError(error.to_string()))
}

/// The key for the tokens of stateless resets (RFC 9000, 10.3.2). It is derived from the identity's
/// private key, so it stays the same as long as that key does, and it does not reveal that key
/// (HKDF, RFC 5869).
pub(crate) fn reset_key(identity: &Identity) -> Result<hmac::Key, TlsError> {
    let failed = |_| TlsError("no key for stateless resets can be derived".to_owned());
    let secret = Salt::new(HKDF_SHA256, &[]).extract(identity.key().secret_der());
    Ok(secret.expand(&[RESET_LABEL], hmac::HMAC_SHA256).map_err(failed)?.into())
}
