//! Finds records in a config: by kiln's own keys, or from input to input as BuildKit does.

use std::collections::HashMap;

use oci::{Descriptor, Digest};

use crate::config::{CacheConfig, ConfigError};

/// A record of one index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record(usize);

/// A result: blobs, bottom first, and when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The blobs, bottom first.
    pub layers: Vec<Descriptor>,
    /// RFC 3339.
    pub created_at: String,
}

/// The records of a config.
#[derive(Debug, Default)]
pub struct Index {
    results: Vec<Option<Found>>,
    /// Records without inputs.
    roots: HashMap<Digest, Vec<Record>>,
    /// Records by what one of their inputs may come from.
    links: HashMap<LinkKey, Vec<Record>>,
    own: HashMap<[u8; 32], Record>,
    aliases: HashMap<[u8; 32], [u8; 32]>,
    digests: std::collections::HashSet<Digest>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LinkKey {
    from: Record,
    input: usize,
    digest: Digest,
    selector: Option<Digest>,
}

impl Index {
    /// The records of `config`; results count only if `blobs` has all their layers.
    ///
    /// # Errors
    /// A layer is beneath itself.
    pub fn new(config: &CacheConfig, blobs: &[Descriptor]) -> Result<Self, ConfigError> {
        let known: HashMap<Digest, &Descriptor> =
            blobs.iter().map(|blob| (blob.digest, blob)).collect();
        let mut index = Self::default();
        for (place, record) in config.records.iter().enumerate() {
            let id = Record(place);
            index.digests.insert(record.digest);
            if record.inputs.is_empty() {
                index.roots.entry(record.digest).or_default().push(id);
            }
            for (input, links) in record.inputs.iter().enumerate() {
                for link in links {
                    let key = LinkKey {
                        from: Record(link.link),
                        input,
                        digest: record.digest,
                        selector: link.selector.parse().ok(),
                    };
                    index.links.entry(key).or_default().push(id);
                }
            }
            let mut result = None;
            for single in &record.results {
                let chain = config.chain(single.layer)?;
                result = result.or_else(|| found(&chain, &single.created_at, &known));
            }
            for chained in &record.chained {
                let layer = |layer: &usize| config.layers.get(*layer).map(|layer| layer.blob);
                let chain: Option<Vec<Digest>> = chained.layers.iter().map(layer).collect();
                let chain = chain.unwrap_or_default();
                result = result.or_else(|| found(&chain, &chained.created_at, &known));
            }
            index.results.push(result);
            if let Some((key, definition)) = record.kiln.as_ref().and_then(|keys| keys.read()) {
                index.own.entry(key).or_insert(id);
                if let Some(definition) = definition {
                    index.aliases.insert(definition, key);
                }
            }
        }
        Ok(index)
    }

    /// The record that another kiln made under this key.
    #[must_use]
    pub fn by_key(&self, key: &[u8; 32]) -> Option<Record> {
        self.own.get(key).copied()
    }

    /// What this definition key led to for another kiln.
    #[must_use]
    pub fn alias(&self, definition: &[u8; 32]) -> Option<[u8; 32]> {
        self.aliases.get(definition).copied()
    }

    /// Whether there is any record of this digest.
    #[must_use]
    pub fn knows(&self, digest: &Digest) -> bool {
        self.digests.contains(digest)
    }

    /// Records of this digest that have no inputs.
    #[must_use]
    pub fn roots(&self, digest: &Digest) -> &[Record] {
        self.roots.get(digest).map_or(&[], Vec::as_slice)
    }

    /// Records of this digest whose input may come from `from`.
    #[must_use]
    pub fn linked(
        &self,
        from: Record,
        input: usize,
        digest: &Digest,
        selector: Option<Digest>,
    ) -> &[Record] {
        let key = LinkKey {
            from,
            input,
            digest: *digest,
            selector,
        };
        self.links.get(&key).map_or(&[], Vec::as_slice)
    }

    /// The result of a record, if it has one.
    #[must_use]
    pub fn result(&self, record: Record) -> Option<&Found> {
        self.results.get(record.0)?.as_ref()
    }
}

fn found(
    chain: &[Digest],
    created_at: &str,
    known: &HashMap<Digest, &Descriptor>,
) -> Option<Found> {
    let layers: Option<Vec<Descriptor>> = chain
        .iter()
        .map(|blob| known.get(blob).map(|blob| (*blob).clone()))
        .collect();
    Some(Found {
        layers: layers.filter(|layers| !layers.is_empty())?,
        created_at: created_at.to_owned(),
    })
}
