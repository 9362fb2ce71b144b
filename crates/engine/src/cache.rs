//! Cache records in the store: the solver's [`CacheStorage`].
//!
//! A record's value is a list of outputs, each a list of layer IDs. What the solver loads is held
//! by the engine's lease, so it stays until the engine is gone. Waiting for another process's
//! guard never blocks a thread of the runtime.

use std::time::Duration;

use solver::{CacheKey, CacheStorage, DefinitionKey, KeyParts};
use store::{KeyGuard, LayerId, Lease, NewRecord, RecordKind, Store, StoreError};

use crate::explain::{Facts, lineage};
use crate::output::{Output, Stack};

/// How long a process waits before it asks for a guard again that another one holds: at first, and
/// when that has gone on for long. Many may wait for one.
const GUARD_POLL: Duration = Duration::from_millis(2);
const SLOWEST_GUARD_POLL: Duration = Duration::from_millis(40);

/// The records of one store.
#[derive(Debug)]
pub struct StoredRecords {
    store: Store,
    lease: Lease,
}

impl StoredRecords {
    pub(crate) fn new(store: Store, lease: Lease) -> Self {
        Self { store, lease }
    }
}

impl CacheStorage for StoredRecords {
    type Output = Output;
    type Guard = KeyGuard;
    type Error = StoreError;

    async fn canonical(&self, definition: DefinitionKey) -> Result<Option<CacheKey>, StoreError> {
        Ok(self.store.records().resolve(&definition.0)?.map(CacheKey))
    }

    async fn alias(&self, definition: DefinitionKey, key: CacheKey) -> Result<(), StoreError> {
        self.store.records().alias(&definition.0, &key.0)
    }

    async fn load(&self, key: CacheKey) -> Result<Option<Vec<Output>>, StoreError> {
        let record = self.store.records().take(&self.lease, &key.0)?;
        Ok(record.and_then(|record| decode(&record.value)))
    }

    async fn save(
        &self,
        key: CacheKey,
        outputs: &[Output],
        parts: &KeyParts,
    ) -> Result<(), StoreError> {
        let Some((value, layers)) = encode(outputs) else {
            return Ok(());
        };
        let record = NewRecord {
            kind: RecordKind::Regular,
            description: &parts.name,
            value: &value,
            layers: &layers,
            parts: &Facts::of(parts).write(),
            lineage: Some(&lineage(parts)),
        };
        self.store.records().put(&self.lease, &key.0, record)
    }

    async fn lock(&self, key: CacheKey) -> Result<KeyGuard, StoreError> {
        let mut pause = GUARD_POLL;
        loop {
            if let Some(guard) = self.store.try_lock_key(&key.0)? {
                return Ok(guard);
            }
            tokio::time::sleep(pause).await;
            pause = SLOWEST_GUARD_POLL.min(pause * 9 / 8);
        }
    }
}

impl crate::engine::Inner {
    /// The one output that is recorded under `key`.
    pub(crate) fn recorded(&self, key: CacheKey) -> Result<Option<Stack>, StoreError> {
        let record = self.store.records().take(&self.lease, &key.0)?;
        let outputs = record.and_then(|record| decode(&record.value));
        Ok(match outputs.unwrap_or_default().pop() {
            Some(Output::Stack(stack)) => Some(stack),
            _ => None,
        })
    }

    /// Records the one output of a source, as the solver does for what it ran itself.
    pub(crate) fn record(
        &self,
        key: CacheKey,
        stack: &Stack,
        (kind, description): (RecordKind, &str),
    ) -> Result<(), StoreError> {
        let Some((value, layers)) = encode(&[Output::Stack(stack.clone())]) else {
            return Ok(());
        };
        let record = NewRecord {
            kind,
            description,
            value: &value,
            layers: &layers,
            ..NewRecord::default()
        };
        self.store.records().put(&self.lease, &key.0, record)
    }
}

/// The outputs as bytes, and the layers in them; none when one of them is not in the store.
fn encode(outputs: &[Output]) -> Option<(Vec<u8>, Vec<LayerId>)> {
    let mut value = Vec::new();
    let mut all = Vec::new();
    for output in outputs {
        let Output::Stack(stack) = output else {
            return None;
        };
        let count = u32::try_from(stack.layers().len()).ok()?;
        value.extend_from_slice(&count.to_le_bytes());
        for layer in stack.layers() {
            value.extend_from_slice(&layer.0.to_le_bytes());
            if !all.contains(layer) {
                all.push(*layer);
            }
        }
    }
    Some((value, all))
}

fn decode(mut value: &[u8]) -> Option<Vec<Output>> {
    let mut outputs = Vec::new();
    while !value.is_empty() {
        let (count, rest) = value.split_first_chunk()?;
        value = rest;
        let mut layers = Vec::new();
        for _ in 0..u32::from_le_bytes(*count) {
            let (layer, rest) = value.split_first_chunk()?;
            layers.push(LayerId(i64::from_le_bytes(*layer)));
            value = rest;
        }
        outputs.push(Output::Stack(Stack::new(layers)));
    }
    Some(outputs)
}

/// The topmost layer of a record's first output.
pub(crate) fn top_layer(value: &[u8]) -> Option<LayerId> {
    match decode(value)?.first()? {
        Output::Stack(stack) => stack.layers().last().copied(),
        Output::Local(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_read_as_they_were_written() {
        let stack = |layers: &[i64]| {
            Output::Stack(Stack::new(
                layers.iter().map(|id| LayerId(*id)).collect::<Vec<_>>(),
            ))
        };
        for outputs in [
            vec![],
            vec![stack(&[])],
            vec![stack(&[1, 2]), stack(&[1, 3])],
        ] {
            let (value, _) = encode(&outputs).unwrap();
            assert_eq!(decode(&value), Some(outputs));
        }
        assert_eq!(decode(&[1, 0, 0, 0, 7]), None);
    }
}
