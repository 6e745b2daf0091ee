//! Digests and random ids of fixed length, written as lower-case hex.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $length]);

        impl $name {
            /// Reads two lower-case hex digits for each byte; `None` for anything else.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Some(Self(HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()?))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let digits = 2 * $length;
                let expected = || D::Error::custom(format!("expected {digits} lower-case hex digits"));
                Self::parse(&text).ok_or_else(expected)
            }
        }
    };
}

hex_bytes! {
    /// The BLAKE3 hash of a whole file.
    ContentHash, 32
}

hex_bytes! {
    /// The SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 5280, 4.1.2.7), in DER.
    Fingerprint, 32
}

hex_bytes! {
    /// A random number that both sides of a comparison of keys contribute.
    Nonce, 32
}

hex_bytes! {
    /// The BLAKE3 hash of a [`Nonce`], sent before the nonce itself.
    Commitment, 32
}

hex_bytes! {
    /// Identifies an introduction of two connections, at random.
    IntroductionId, 16
}

hex_bytes! {
    /// Identifies an offer of files, at random. Stays the same over all connections.
    OfferId, 16
}

hex_bytes! {
    /// Identifies a message between two clients, at random.
    MessageId, 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_exactly_64_lower_case_hex_digits() {
        let text = "0123456789abcdef".repeat(4);
        assert_eq!(ContentHash::parse(&text).unwrap().to_string(), text);
        for bad in
            ["", "00", &text.to_uppercase(), &text[1..], &format!("{text}0"), &"g".repeat(64)]
        {
            assert_eq!(ContentHash::parse(bad), None, "{bad}");
        }
    }
}
