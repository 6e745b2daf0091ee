//! 32-byte digests, written as lower-case hex: of a file's content, and of a certificate's key.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// Reads 64 lower-case hex digits; `None` for anything else.
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
                Self::parse(&text).ok_or_else(|| D::Error::custom("expected 64 lower-case hex digits"))
            }
        }
    };
}

digest! {
    /// The BLAKE3 hash of a whole file.
    ContentHash
}

digest! {
    /// The SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 5280, 4.1.2.7), in DER.
    Fingerprint
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
