//! Text that must not be shown, logged or left in memory.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A password: hidden in `Debug` output, erased from memory when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret text. Must not be shown or logged.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own error quotes the value: a PIN sent as a number would reach a log.
        String::deserialize(deserializer)
            .map(Self)
            .map_err(|_| D::Error::custom("a password is a JSON string"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_a_secret() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".to_owned())), "<hidden>");
    }

    #[test]
    fn an_error_does_not_quote_a_secret_of_the_wrong_type() {
        for wrong in ["31337", "3133.7", "[\"31337\"]", "{\"a\":31337}", "true"] {
            let error = serde_json::from_str::<Secret>(wrong).unwrap_err().to_string();
            assert!(error.starts_with("a password is a JSON string"), "{error}");
        }
    }
}
