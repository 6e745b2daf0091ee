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

/// What the key for stateless resets is derived for.
const RESET_LABEL: &[u8] = b"quiver/1 stateless reset";

/// TLS could not be set up with this identity.
#[derive(Debug, Error)]
#[error("cannot set up TLS: {0}")]
pub struct TlsError(String);

/// The side that accepts: shows its identity, and asks for the other side's, which is required where every protocol
/// requires it. What was asked for is settled before TLS has told which protocol it is.
pub(crate) fn server(
    identity: &Identity,
    protocols: &[Protocol],
) -> Result<QuicServerConfig, TlsError> {
    let failed = |error: rustls::Error| TlsError(error.to_string());
    // rustls would accept every protocol.
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
    // Early data could be replayed, and a resumed session would skip the proof of the client's key.
    config.max_early_data_size = 0;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    QuicServerConfig::try_from(config).map_err(|error| TlsError(error.to_string()))
}

/// The side that dials: speaks one protocol, believes whom `verifier` believes, shows its identity when asked.
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

/// The key of the tokens in stateless resets (RFC 9000, 10.3.2): the same for as long as the identity's private
/// key is, of which it tells nothing (HKDF, RFC 5869).
pub(crate) fn reset_key(identity: &Identity) -> Result<hmac::Key, TlsError> {
    let failed = |_| TlsError("no key for stateless resets can be derived".to_owned());
    let secret = Salt::new(HKDF_SHA256, &[]).extract(identity.key().secret_der());
    Ok(secret.expand(&[RESET_LABEL], hmac::HMAC_SHA256).map_err(failed)?.into())
}
