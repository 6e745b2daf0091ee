//! Certificate fingerprints, computed from their description and with none of Quiver's code.

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The SHA-256 of a certificate's SubjectPublicKeyInfo, in hex.
///
/// # Panics
/// If the bytes are no certificate.
#[must_use]
pub fn fingerprint(certificate: &[u8]) -> String {
    let (_, parsed) = X509Certificate::from_der(certificate).unwrap();
    sha256_hex(parsed.public_key().raw)
}

/// The SHA-256 of bytes, in hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
