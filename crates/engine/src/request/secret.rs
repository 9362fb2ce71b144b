//! Secrets that steps may ask for. None is shown, and each is wiped when nobody has it any more.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::EngineError;

/// A secret that steps may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedSecret {
    /// Its bytes.
    pub source: SecretSource,
    /// Whether steps that see it run again when its bytes change.
    pub keyed: bool,
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// Read when a step asks for it.
    File(PathBuf),
    /// Already at hand.
    Value(Secret),
}

/// Has secrets that are not known before steps ask for them.
pub trait SecretStore: fmt::Debug + Send + Sync {
    /// The secret under `id`; none when there is none. May block.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn get(&self, id: &str) -> Result<Option<Secret>, String>;
}

impl SecretSource {
    /// The bytes.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self) -> Result<Secret, EngineError> {
        match self {
            Self::Value(secret) => Ok(secret.clone()),
            Self::File(path) => match std::fs::read(path) {
                Ok(bytes) => Ok(Secret::new(bytes)),
                Err(source) => Err(EngineError::Read {
                    path: path.clone(),
                    source,
                }),
            },
        }
    }
}

/// Bytes that are never shown, and wiped when nobody needs them any more.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// Keeps `bytes` from being shown.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// The bytes, for the one place that hands them to a step.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
