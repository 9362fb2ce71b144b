//! The cache config (`application/vnd.buildkit.cacheconfig.v0`): layers by their parents, and records by
//! what leads to them.
//!
//! kiln adds its own keys to a record, which BuildKit ignores: another kiln finds the record by them
//! without looking at any file.

use oci::Digest;
use serde::{Deserialize, Serialize};

use crate::json::is_empty;

/// The media type of the document.
pub const CONFIG_TYPE: &str = "application/vnd.buildkit.cacheconfig.v0";

/// The largest document that is read. BuildKit reads 1 MiB.
pub const MAX_CONFIG: u64 = 16 << 20;

/// The most records and layers that are read.
const MAX_ENTRIES: usize = 200_000;

/// The form of [`OwnKeys`]; others are not understood.
const OWN_VERSION: u32 = 1;

/// Annotations of layer blobs.
pub mod annotation {
    /// The diff ID.
    pub const UNCOMPRESSED: &str = "containerd.io/uncompressed";
    /// When the layer was made, RFC 3339.
    pub const CREATED: &str = "buildkit/createdat";
}

/// What a cache holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CacheConfig {
    /// Blobs, each on top of its parent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<CacheLayer>,
    /// Results, and what leads to them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<CacheRecord>,
}

/// A blob on top of others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheLayer {
    /// The blob.
    pub blob: Digest,
    /// The layer beneath; -1 for none.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub parent: i64,
}

/// A step that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheRecord {
    /// Its results, as the topmost layer.
    #[serde(default, rename = "layers", skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<CacheResult>,
    /// Its results, as lists of layers.
    #[serde(default, rename = "chains", skip_serializing_if = "Vec::is_empty")]
    pub chained: Vec<ChainedResult>,
    /// The digest of the op and its output.
    pub digest: Digest,
    /// By input, the records that it may come from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Vec<CacheInput>>,
    /// What kiln knows it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kiln: Option<OwnKeys>,
}

/// A result by its topmost layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheResult {
    /// Index of the layer.
    pub layer: usize,
    /// RFC 3339.
    #[serde(default = "no_time")]
    pub created_at: String,
}

/// A result by all its layers, bottom first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainedResult {
    /// Indexes of the layers.
    pub layers: Vec<usize>,
    /// RFC 3339.
    #[serde(default = "no_time")]
    pub created_at: String,
}

/// A record that an input may come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheInput {
    /// What selects the part of it that matters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub selector: String,
    /// Index of the record.
    pub link: usize,
}

/// kiln's own keys of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnKeys {
    version: u32,
    /// The canonical key.
    key: String,
    /// The definition key that leads to it, if it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    definition: Option<String>,
}

/// Why a config is not used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is no such document.
    #[error("invalid cache config")]
    Json(#[from] serde_json::Error),
    /// It is larger than what is read.
    #[error("cache config with more than {MAX_ENTRIES} records or layers")]
    TooLarge,
    /// It names something that it does not have, or that leads back to itself.
    #[error("invalid cache config: {what} {index} does not exist or leads to itself")]
    Dangling {
        /// `layer` or `record`.
        what: &'static str,
        /// Which.
        index: i64,
    },
}

impl CacheConfig {
    /// Reads a config from outside.
    ///
    /// # Errors
    /// It is malformed, too large, or names what it does not have.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let config: Self = oci::from_unambiguous_json(bytes)?;
        config.check()?;
        Ok(config)
    }

    /// A config of the records that are part of an image's config, whose layers are the image's.
    ///
    /// # Errors
    /// The records are malformed, too many, or name what is not there.
    pub fn parse_inline(records: &[u8], layers: Vec<Digest>) -> Result<Self, ConfigError> {
        let config = Self {
            layers: (-1..)
                .zip(layers)
                .map(|(parent, blob)| CacheLayer { blob, parent })
                .collect(),
            records: oci::from_unambiguous_json(records)?,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.records.len() > MAX_ENTRIES || self.layers.len() > MAX_ENTRIES {
            return Err(ConfigError::TooLarge);
        }
        self.check_layers()?;
        for record in &self.records {
            let single = record.results.iter().map(|result| result.layer);
            let chained = record.chained.iter().flat_map(|result| &result.layers);
            for layer in single.chain(chained.copied()) {
                self.layers
                    .get(layer)
                    .ok_or_else(|| dangling("layer", index_of(layer)))?;
            }
            for link in record.inputs.iter().flatten().map(|input| input.link) {
                self.records
                    .get(link)
                    .ok_or_else(|| dangling("record", index_of(link)))?;
            }
        }
        Ok(())
    }

    /// Whether each layer has a [`chain`](Self::chain), in one look at each.
    fn check_layers(&self) -> Result<(), ConfigError> {
        let mut heights = vec![0; self.layers.len()];
        let mut above = Vec::new();
        for place in 0..self.layers.len() {
            let mut height = 0;
            let mut next = index_of(place);
            while next != -1 {
                let (place, layer) = self.layer(next)?;
                height = heights[place];
                if height > 0 {
                    break;
                }
                if above.len() >= MAX_CHAIN {
                    return Err(dangling("layer", next));
                }
                above.push(place);
                next = layer.parent;
            }
            while let Some(place) = above.pop() {
                height += 1;
                if height > MAX_CHAIN {
                    return Err(dangling("layer", index_of(place)));
                }
                heights[place] = height;
            }
        }
        Ok(())
    }

    fn layer(&self, index: i64) -> Result<(usize, &CacheLayer), ConfigError> {
        let place = usize::try_from(index).ok();
        let found = place.and_then(|place| Some((place, self.layers.get(place)?)));
        found.ok_or_else(|| dangling("layer", index))
    }

    /// The blobs of a layer and all beneath it, bottom first.
    ///
    /// # Errors
    /// A layer is not there, or is beneath itself.
    pub fn chain(&self, top: usize) -> Result<Vec<Digest>, ConfigError> {
        let mut blobs = Vec::new();
        let mut next = index_of(top);
        while next != -1 {
            let (_, layer) = self.layer(next)?;
            if blobs.len() >= MAX_CHAIN {
                return Err(dangling("layer", next));
            }
            blobs.push(layer.blob);
            next = layer.parent;
        }
        blobs.reverse();
        Ok(blobs)
    }
}

/// The most layers on top of each other; more than any file system takes.
const MAX_CHAIN: usize = 4096;

impl OwnKeys {
    /// These keys.
    #[must_use]
    pub fn new(key: [u8; 32], definition: Option<[u8; 32]>) -> Self {
        let hex = |key| Digest::from_bytes(key).hex();
        Self {
            version: OWN_VERSION,
            key: hex(key),
            definition: definition.map(hex),
        }
    }

    /// The canonical key and what leads to it; none when the form is not understood.
    #[must_use]
    pub fn read(&self) -> Option<([u8; 32], Option<[u8; 32]>)> {
        let key = |hex: &str| Some(*Digest::from_hex(hex).ok()?.as_bytes());
        if self.version != OWN_VERSION {
            return None;
        }
        let definition = match &self.definition {
            Some(definition) => Some(key(definition)?),
            None => None,
        };
        Some((key(&self.key)?, definition))
    }
}

/// Go's zero time.
fn no_time() -> String {
    "0001-01-01T00:00:00Z".to_owned()
}

fn index_of(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

const fn dangling(what: &'static str, index: i64) -> ConfigError {
    ConfigError::Dangling { what, index }
}

#[cfg(test)]
mod tests;
