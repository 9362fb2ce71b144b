//! The format of a store, in the file `version`.
//!
//! A kiln opens a store whose format it knows. Within a format, features are named: one that is
//! unknown here is ignored if it is compatible, forbids writing if it is read-only compatible, and
//! forbids opening if it is incompatible.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Result, StoreError};

/// The newest format that this kiln reads and the one that it writes.
pub const FORMAT: u32 = 1;

/// Names of features known here, of each class. None so far.
const KNOWN: &[&str] = &[];

/// What the file `version` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// The format.
    pub format: u32,
    /// Whoever does not know these may read and write.
    #[serde(default)]
    pub compatible: Vec<String>,
    /// Whoever does not know these may only read.
    #[serde(default)]
    pub read_only_compatible: Vec<String>,
    /// Whoever does not know these may do nothing.
    #[serde(default)]
    pub incompatible: Vec<String>,
}

impl Features {
    /// Reads the file at `path`, whose content is `bytes`.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|source| StoreError::VersionFile {
            path: path.to_owned(),
            source,
        })
    }

    /// Whether the store at `root` may be opened; the features that forbid writing.
    pub(crate) fn check(&self, root: &Path) -> Result<Vec<String>> {
        if self.format != FORMAT {
            return Err(StoreError::Format {
                path: root.to_owned(),
                found: self.format,
                known: FORMAT,
            });
        }
        let features = unknown(&self.incompatible);
        if features.is_empty() {
            return Ok(unknown(&self.read_only_compatible));
        }
        Err(StoreError::Features {
            path: root.to_owned(),
            features,
        })
    }
}

fn unknown(features: &[String]) -> Vec<String> {
    let is_unknown = |feature: &&String| !KNOWN.contains(&feature.as_str());
    features.iter().filter(is_unknown).cloned().collect()
}
