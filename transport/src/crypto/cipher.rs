//! The cipher suites in order of preference, each in its fastest implementation on this processor.

use rustls::SupportedCipherSuite;
use rustls::crypto::aws_lc_rs::cipher_suite as aws_lc;
use rustls::crypto::ring::cipher_suite as ring;

/// The suites of TLS 1.3 (RFC 8446, B.4), the preferred one first.
pub(super) fn suites() -> Vec<SupportedCipherSuite> {
    suites_with(has_only_256_bit_vectors())
}

/// The suites, with AES from ring or from aws-lc.
fn suites_with(ring_is_faster: bool) -> Vec<SupportedCipherSuite> {
    let [aes_128, aes_256] = if ring_is_faster {
        [ring::TLS13_AES_128_GCM_SHA256, ring::TLS13_AES_256_GCM_SHA384]
    } else {
        [aws_lc::TLS13_AES_128_GCM_SHA256, aws_lc::TLS13_AES_256_GCM_SHA384]
    };
    vec![aes_128, aes_256, aws_lc::TLS13_CHACHA20_POLY1305_SHA256]
}

/// Whether the processor has AES instructions for vectors of 256 bits, which only ring uses, and
/// none for vectors of 512 bits, which aws-lc uses.
#[cfg(target_arch = "x86_64")]
fn has_only_256_bit_vectors() -> bool {
    is_x86_feature_detected!("vaes")
        && is_x86_feature_detected!("vpclmulqdq")
        && is_x86_feature_detected!("avx2")
        && !is_x86_feature_detected!("avx512bw")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_only_256_bit_vectors() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use rustls::CipherSuite;

    use super::*;

    #[test]
    fn the_order_does_not_depend_on_the_implementation() {
        let order = [
            CipherSuite::TLS13_AES_128_GCM_SHA256,
            CipherSuite::TLS13_AES_256_GCM_SHA384,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        ];
        for ring_is_faster in [false, true] {
            let suites = suites_with(ring_is_faster);
            assert_eq!(suites.iter().map(SupportedCipherSuite::suite).collect::<Vec<_>>(), order);
            // QUIC derives its own keys, so each suite needs QUIC support (RFC 9001, 5).
            assert!(suites.iter().all(|suite| suite.tls13().is_some_and(|it| it.quic.is_some())));
        }
    }
}
