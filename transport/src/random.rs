//! Random bytes for ids that no other machine may predict. The source is that of TLS.

use crate::crypto;

/// Random bytes.
///
/// # Panics
/// If the system has no random numbers; TLS does not work then either.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "a system without random numbers cannot run TLS")]
    crypto::provider().secure_random.fill(&mut bytes).expect("the system has random numbers");
    bytes
}
