//! Puts a config together: records from their inputs up, layers from their parents up, each once.

use std::collections::HashMap;

use oci::Digest;

use crate::config::{
    CacheConfig, CacheInput, CacheLayer, CacheRecord, CacheResult, ChainedResult, OwnKeys,
};

/// A record that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(usize);

/// A record that an input may come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Link {
    /// The record.
    pub record: RecordId,
    /// What selects the part of it that matters.
    pub selector: Option<Digest>,
}

/// A config in the making.
#[derive(Debug, Default)]
pub struct Chains {
    config: CacheConfig,
    records: HashMap<(Digest, Vec<Vec<Link>>), RecordId>,
    layers: HashMap<(Digest, i64), i64>,
}

impl Chains {
    /// Adds a record, or finds the equal one.
    pub fn record(&mut self, digest: Digest, inputs: Vec<Vec<Link>>) -> RecordId {
        if let Some(known) = self.records.get(&(digest, inputs.clone())) {
            return *known;
        }
        let link = |link: &Link| CacheInput {
            selector: link.selector.map(|s| s.to_string()).unwrap_or_default(),
            link: link.record.0,
        };
        let id = RecordId(self.config.records.len());
        self.config.records.push(CacheRecord {
            results: Vec::new(),
            chained: Vec::new(),
            digest,
            inputs: inputs
                .iter()
                .map(|links| links.iter().map(link).collect())
                .collect(),
            kiln: None,
        });
        self.records.insert((digest, inputs), id);
        id
    }

    /// Says what kiln knows the record by.
    pub fn keys(&mut self, record: RecordId, keys: OwnKeys) {
        if let Some(record) = self.config.records.get_mut(record.0) {
            record.kiln.get_or_insert(keys);
        }
    }

    /// Says what the record's result is: these blobs, bottom first.
    pub fn result(&mut self, record: RecordId, blobs: &[Digest], created_at: &str) {
        let top = blobs
            .iter()
            .fold(-1, |parent, blob| self.layer(*blob, parent));
        let Ok(layer) = usize::try_from(top) else {
            return;
        };
        if let Some(record) = self.config.records.get_mut(record.0)
            && record.results.is_empty()
        {
            record.results.push(CacheResult {
                layer,
                created_at: created_at.to_owned(),
            });
        }
    }

    /// The whole config.
    #[must_use]
    pub fn into_config(self) -> CacheConfig {
        self.config
    }

    fn layer(&mut self, blob: Digest, parent: i64) -> i64 {
        let layers = &mut self.config.layers;
        *self.layers.entry((blob, parent)).or_insert_with(|| {
            layers.push(CacheLayer { blob, parent });
            i64::try_from(layers.len() - 1).unwrap_or(i64::MAX)
        })
    }
}

impl CacheConfig {
    /// The records for the config of an image with these layers. A result of other layers is
    /// left out, the record is not: it may lead to one that has a result.
    #[must_use]
    pub fn into_inline(self, layers: &[Digest]) -> Vec<CacheRecord> {
        let results: Vec<_> = self
            .records
            .iter()
            .map(|record| record.results.first().map(|r| inline(&self, r, layers)))
            .collect();
        let inlined = |(record, result): (CacheRecord, Option<Inlined>)| {
            let (results, chained) = match result {
                Some(Inlined::Top(result)) => (vec![result], Vec::new()),
                Some(Inlined::Chain(result)) => (Vec::new(), vec![result]),
                Some(Inlined::Nothing) | None => (Vec::new(), Vec::new()),
            };
            CacheRecord {
                results,
                chained,
                ..record
            }
        };
        self.records.into_iter().zip(results).map(inlined).collect()
    }
}

/// A result in terms of an image's layers.
enum Inlined {
    /// The first layers of the image.
    Top(CacheResult),
    /// Some of them.
    Chain(ChainedResult),
    /// It has other layers.
    Nothing,
}

fn inline(config: &CacheConfig, result: &CacheResult, layers: &[Digest]) -> Inlined {
    let created_at = result.created_at.clone();
    let Ok(blobs) = config.chain(result.layer) else {
        return Inlined::Nothing;
    };
    if layers.starts_with(&blobs) && !blobs.is_empty() {
        let layer = blobs.len() - 1;
        return Inlined::Top(CacheResult { layer, created_at });
    }
    let place = |blob: &Digest| layers.iter().position(|layer| layer == blob);
    match blobs.iter().map(place).collect::<Option<Vec<_>>>() {
        Some(layers) if !layers.is_empty() => Inlined::Chain(ChainedResult { layers, created_at }),
        _ => Inlined::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(config: &CacheConfig) -> String {
        let mut text = String::from_utf8(oci::to_canonical_json(config).unwrap()).unwrap();
        for name in ["base", "copy", "file", "a", "b", "c"] {
            text = text.replace(&Digest::of(name.as_bytes()).to_string(), name);
        }
        text
    }

    fn example() -> CacheConfig {
        let digest = |name: &str| Digest::of(name.as_bytes());
        let mut chains = Chains::default();
        let base = chains.record(digest("base"), Vec::new());
        let file = chains.record(digest("file"), Vec::new());
        let link = |record| Link {
            record,
            selector: None,
        };
        let inputs = || vec![vec![link(base)], vec![link(file)]];
        let copy = chains.record(digest("copy"), inputs());
        assert_eq!(chains.record(digest("copy"), inputs()), copy);
        chains.result(copy, &[digest("a"), digest("b")], "T");
        chains.result(base, &[digest("a")], "T");
        chains.into_config()
    }

    #[test]
    fn each_record_and_layer_is_there_once() {
        assert_eq!(
            text(&example()),
            r#"{"layers":[{"blob":"a","parent":-1},{"blob":"b"}],"records":[{"layers":[{"layer":0,"createdAt":"T"}],"digest":"base"},{"digest":"file"},{"layers":[{"layer":1,"createdAt":"T"}],"digest":"copy","inputs":[[{"link":0}],[{"link":1}]]}]}"#
        );
    }

    #[test]
    fn results_are_named_by_the_images_layers() {
        let told = |layers: &[&str]| {
            let layers: Vec<Digest> = layers.iter().map(|l| Digest::of(l.as_bytes())).collect();
            let results = example().into_inline(&layers).into_iter().map(|record| {
                match (record.results.first(), record.chained.first()) {
                    (Some(result), _) => format!("top {}", result.layer),
                    (_, Some(result)) => format!("chain {:?}", result.layers),
                    _ => "-".to_owned(),
                }
            });
            results.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(told(&["a", "b", "c"]), "top 0, -, top 1");
        assert_eq!(told(&["c", "a", "b"]), "chain [1], -, chain [1, 2]");
        assert_eq!(told(&["a", "c"]), "top 0, -, -");
    }
}
