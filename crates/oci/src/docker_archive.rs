//! The documents inside a `docker save` archive: `manifest.json` and `repositories`.

use serde::{Deserialize, Serialize};

/// One image in `manifest.json`, which is a list of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry {
    /// Path of the config in the archive.
    pub config: String,
    /// Familiar names with tags.
    #[serde(default)]
    pub repo_tags: Option<Vec<String>>,
    /// Paths of the layers in the archive, bottom first.
    pub layers: Vec<String>,
}
