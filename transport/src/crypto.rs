//! The crypto provider that TLS and certificates use: key exchanges and ciphers in order of
//! preference. No connections or keys in here.

mod cipher;

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};

/// aws-lc-rs, with the post-quantum hybrid key exchange preferred (X25519MLKEM768,
/// draft-ietf-tls-ecdhe-mlkem), AES with 128 bits (docs/decisions, 3), and the implementation of
/// AES that is faster on this processor (docs/decisions, 4).
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1];
        let cipher_suites = cipher::suites();
        Arc::new(CryptoProvider { kx_groups, cipher_suites, ..aws_lc_rs::default_provider() })
    });
    PROVIDER.clone()
}
