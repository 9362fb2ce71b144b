//! Digests: `sha256:` and 64 lower-case hexadecimal characters over exact bytes
//! (image-spec, descriptor.md, "Digests").
//!
//! Only SHA-256 is accepted; other registered algorithms are refused by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

/// The SHA-256 digest of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a text is not a digest that kiln can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no `algorithm:` before the encoded part.
    #[error("invalid digest {0:?}: expected algorithm:hex")]
    Malformed(String),
    /// The algorithm is not SHA-256.
    #[error("unsupported digest algorithm {algorithm:?} in {digest:?}: kiln supports sha256")]
    Algorithm {
        /// The algorithm that was named.
        algorithm: String,
        /// The whole text.
        digest: String,
    },
    /// The part after the colon is not 64 lower-case hexadecimal characters.
    #[error("invalid digest {0:?}: expected 64 lower-case hexadecimal characters")]
    Encoded(String),
}

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The digest whose 32 raw bytes are given.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal characters, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        use fmt::Write as _;
        self.0
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            })
    }

    /// The digest whose hexadecimal characters are given without the algorithm.
    ///
    /// # Errors
    /// `hex` is not 64 lower-case hexadecimal characters.
    pub fn from_hex(hex: &str) -> Result<Self, DigestError> {
        let malformed = || DigestError::Encoded(hex.to_owned());
        if hex.len() != 64 {
            return Err(malformed());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let (high, low) = (nibble(pair[0]), nibble(pair[1]));
            *byte = high
                .zip(low)
                .map(|(h, l)| h << 4 | l)
                .ok_or_else(malformed)?;
        }
        Ok(Self(bytes))
    }
}

const fn nibble(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

/// Computes a digest over bytes that come in parts.
#[derive(Clone, Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was added.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher(sha256)")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        match text.split_once(':') {
            None => Err(DigestError::Malformed(text.to_owned())),
            Some(("sha256", hex)) => {
                Self::from_hex(hex).map_err(|_| DigestError::Encoded(text.to_owned()))
            }
            Some((algorithm, _)) => Err(DigestError::Algorithm {
                algorithm: algorithm.to_owned(),
                digest: text.to_owned(),
            }),
        }
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(empty.parse(), Ok(Digest::of(b"")));
        for (text, error) in [
            ("", "invalid digest \"\": expected algorithm:hex"),
            (
                "sha256:",
                "invalid digest \"sha256:\": expected 64 lower-case hexadecimal characters",
            ),
            (
                "md5:00",
                "unsupported digest algorithm \"md5\" in \"md5:00\": kiln supports sha256",
            ),
        ] {
            assert_eq!(text.parse::<Digest>().unwrap_err().to_string(), error);
        }
        assert!(empty.to_uppercase().parse::<Digest>().is_err());
    }

    #[test]
    fn parts_hash_like_the_whole() {
        let mut hasher = Hasher::new();
        hasher.update(b"ab");
        hasher.update(b"c");
        assert_eq!(hasher.finish(), Digest::of(b"abc"));
    }
}
