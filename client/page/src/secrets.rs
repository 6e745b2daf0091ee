//! One-time codes, and the secrets of tabs that they are exchanged for. In memory only: the hashes, not the texts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use parking_lot::Mutex;
use quiver_transport::random::random_bytes;

/// How long a code is valid.
pub(crate) const CODE_LIFETIME: Duration = Duration::from_secs(60);

/// Codes that are valid at once. A further one ends the oldest.
const MAX_CODES: usize = 8;

/// Tabs that have a secret. A further one ends the oldest.
const MAX_SECRETS: usize = 64;

/// The codes and secrets of this run.
#[derive(Default)]
pub(crate) struct SecretStore(Mutex<SecretHashes>);

#[derive(Default)]
struct SecretHashes {
    codes: VecDeque<(blake3::Hash, Instant)>,
    secrets: VecDeque<blake3::Hash>,
}

impl SecretStore {
    /// A new code, valid once, and for [`CODE_LIFETIME`].
    pub(crate) fn add_code(&self, now: Instant) -> String {
        let code = random_text();
        let mut state = self.0.lock();
        state.codes.push_back((hash(&code), now + CODE_LIFETIME));
        if state.codes.len() > MAX_CODES {
            state.codes.pop_front();
        }
        code
    }

    /// Exchanges a code for the secret of a tab; `None` if the code is not valid, or not any more.
    pub(crate) fn exchange(&self, code: &str, now: Instant) -> Option<String> {
        let hash = hash(code);
        let mut state = self.0.lock();
        state.codes.retain(|(_, end)| now < *end);
        let found = state.codes.iter().position(|(code, _)| *code == hash)?;
        state.codes.remove(found);
        let secret = random_text();
        state.secrets.push_back(self::hash(&secret));
        if state.secrets.len() > MAX_SECRETS {
            state.secrets.pop_front();
        }
        Some(secret)
    }

    /// Whether this is the secret of a tab.
    pub(crate) fn is_valid(&self, secret: &str) -> bool {
        let hash = hash(secret);
        self.0.lock().secrets.contains(&hash)
    }
}

impl std::fmt::Debug for SecretStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<hidden>")
    }
}

/// A name for what belongs to a code, from which the code cannot be computed.
pub(crate) fn code_name(code: &str) -> String {
    HEXLOWER.encode(&hash(code).as_bytes()[..8])
}

/// 256 random bits.
fn random_text() -> String {
    BASE64URL_NOPAD.encode(&random_bytes::<32>())
}

/// Texts are compared by their hashes, whose comparison takes constant time.
fn hash(text: &str) -> blake3::Hash {
    blake3::hash(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_works_once_and_for_a_minute() {
        let (secrets, now) = (SecretStore::default(), Instant::now());
        let code = secrets.add_code(now);
        let secret = secrets.exchange(&code, now + CODE_LIFETIME - Duration::from_nanos(1));
        let secret = secret.unwrap();
        assert!(secrets.is_valid(&secret));
        assert!(!secrets.is_valid(&code));
        assert_eq!(secrets.exchange(&code, now), None);
        let late = secrets.add_code(now);
        assert_eq!(secrets.exchange(&late, now + CODE_LIFETIME), None);
        assert_eq!(secrets.exchange(&late, now), None);
        for invalid in ["", "a", &secret] {
            assert_eq!(secrets.exchange(invalid, now), None);
        }
        assert!(!secrets.is_valid(""));
    }

    #[test]
    fn codes_and_secrets_are_bounded() {
        let (secrets, now) = (SecretStore::default(), Instant::now());
        let codes: Vec<_> = (0..=MAX_CODES).map(|_| secrets.add_code(now)).collect();
        assert_eq!(secrets.exchange(&codes[0], now), None);
        let first = secrets.exchange(&codes[1], now).unwrap();
        for _ in 0..MAX_SECRETS {
            assert!(secrets.is_valid(&first));
            secrets.exchange(&secrets.add_code(now), now).unwrap();
        }
        assert!(!secrets.is_valid(&first));
    }

    #[test]
    fn neither_is_shown() {
        let secrets = SecretStore::default();
        let code = secrets.add_code(Instant::now());
        assert_eq!(format!("{secrets:?}"), "<hidden>");
        assert!(!code_name(&code).contains(&code[..8]));
    }
}
