//! Finds records in a config: by kiln's own keys, or from input to input as BuildKit does.

use std::collections::{BTreeSet, HashMap, HashSet};

use oci::{Descriptor, Digest};

use crate::config::CacheConfig;

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
    config: CacheConfig,
    blobs: HashMap<Digest, Descriptor>,
    /// Records without inputs.
    roots: HashMap<Digest, Vec<Record>>,
    /// Records by what one of their inputs may come from.
    links: HashMap<LinkKey, Vec<Record>>,
    own: HashMap<[u8; 32], Record>,
    aliases: HashMap<[u8; 32], [u8; 32]>,
    digests: HashSet<Digest>,
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
    #[must_use]
    pub fn new(config: CacheConfig, blobs: Vec<Descriptor>) -> Self {
        let mut index = Self {
            blobs: blobs.into_iter().map(|blob| (blob.digest, blob)).collect(),
            ..Self::default()
        };
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
            if let Some((key, definition)) = record.kiln.as_ref().and_then(|keys| keys.read()) {
                index.own.entry(key).or_insert(id);
                if let Some(definition) = definition {
                    index.aliases.insert(definition, key);
                }
            }
        }
        index.config = config;
        index
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

    /// Records of this digest whose input may come from one of `from`, each once.
    #[must_use]
    pub fn linked(
        &self,
        from: &[Record],
        input: usize,
        digest: &Digest,
        selector: Option<Digest>,
    ) -> BTreeSet<Record> {
        let key = |from: &Record| LinkKey {
            from: *from,
            input,
            digest: *digest,
            selector,
        };
        let linked = from.iter().filter_map(|from| self.links.get(&key(from)));
        linked.flatten().copied().collect()
    }

    /// The result of a record, if it has one. Put together when it is asked for: a small config may
    /// have many results of many layers.
    #[must_use]
    pub fn result(&self, record: Record) -> Option<Found> {
        let record = self.config.records.get(record.0)?;
        let single = record.results.iter().find_map(|result| {
            let chain = self.config.chain(result.layer).ok()?;
            self.found(&chain, &result.created_at)
        });
        single.or_else(|| {
            record.chained.iter().find_map(|result| {
                let layer = |layer: &usize| self.config.layers.get(*layer).map(|layer| layer.blob);
                let chain: Option<Vec<Digest>> = result.layers.iter().map(layer).collect();
                self.found(&chain?, &result.created_at)
            })
        })
    }

    fn found(&self, chain: &[Digest], created_at: &str) -> Option<Found> {
        let blobs = chain.iter().map(|blob| self.blobs.get(blob).cloned());
        let layers: Option<Vec<Descriptor>> = blobs.collect();
        Some(Found {
            layers: layers.filter(|layers| !layers.is_empty())?,
            created_at: created_at.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else a config of a few records that are linked many times would multiply from input to input.
    #[test]
    fn a_record_is_found_once() {
        let [one, two] = ["one", "two"].map(|name| Digest::of(name.as_bytes()));
        let text = format!(
            r#"{{"records":[{{"digest":"{one}"}},{{"digest":"{one}"}},
                {{"digest":"{two}","inputs":[[{{"link":0}},{{"link":0}},{{"link":1}}]]}}]}}"#
        );
        let config = CacheConfig::parse(text.as_bytes()).unwrap();
        let index = Index::new(config, Vec::new());
        let roots = index.roots(&one);
        assert_eq!(roots, [Record(0), Record(1)]);
        let linked = index.linked(roots, 0, &two, None);
        assert_eq!(linked, BTreeSet::from([Record(2)]));
    }
}
