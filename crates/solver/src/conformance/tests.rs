//! The suite finds what is wrong with a storage.

use std::convert::Infallible;

use super::*;
use crate::cache_storage::memory::{MemoryStorage, MemoryStorageGuard};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Flaw {
    None,
    FindsWhatIsNotThere,
    SortsOutputs,
    KeepsTheFirstRecord,
    ForgetsAliases,
    WantsRecordsForAliases,
    LocksNothing,
    HasOneLock,
}

struct Flawed {
    flaw: Flaw,
    memory: MemoryStorage<u32>,
}

struct Handle(Arc<Flawed>);

impl CacheStorage for Flawed {
    type Output = u32;
    type Guard = Option<MemoryStorageGuard>;
    type Error = Infallible;

    async fn canonical(&self, definition: DefinitionKey) -> Result<Option<CacheKey>, Infallible> {
        match self.flaw {
            Flaw::ForgetsAliases => Ok(None),
            _ => self.memory.canonical(definition).await,
        }
    }

    async fn alias(&self, definition: DefinitionKey, key: CacheKey) -> Result<(), Infallible> {
        let record = self.memory.load(key).await?;
        if self.flaw == Flaw::WantsRecordsForAliases && record.is_none() {
            return Ok(());
        }
        self.memory.alias(definition, key).await
    }

    async fn load(&self, key: CacheKey) -> Result<Option<Vec<u32>>, Infallible> {
        let record = self.memory.load(key).await?;
        Ok(match self.flaw {
            Flaw::FindsWhatIsNotThere => record.or_else(|| Some(Vec::new())),
            Flaw::SortsOutputs => record.map(|mut outputs| {
                outputs.sort_unstable();
                outputs
            }),
            _ => record,
        })
    }

    async fn save(
        &self,
        key: CacheKey,
        outputs: &[u32],
        parts: &KeyParts,
    ) -> Result<(), Infallible> {
        let record = self.memory.load(key).await?;
        if self.flaw == Flaw::KeepsTheFirstRecord && record.is_some() {
            return Ok(());
        }
        self.memory.save(key, outputs, parts).await
    }

    async fn lock(&self, key: CacheKey) -> Result<Option<MemoryStorageGuard>, Infallible> {
        match self.flaw {
            Flaw::LocksNothing => Ok(None),
            // As if all keys had one lock.
            Flaw::HasOneLock => Ok(Some(self.memory.lock(super::key(0)).await?)),
            _ => Ok(Some(self.memory.lock(key).await?)),
        }
    }
}

impl Subject for Handle {
    type Storage = Flawed;

    fn storage(&self) -> Arc<Flawed> {
        Arc::clone(&self.0)
    }

    fn output(&self, number: u32) -> u32 {
        number
    }

    fn number(&self, output: &u32) -> u32 {
        *output
    }
}

#[tokio::test(start_paused = true)]
async fn every_flaw_is_found() {
    for (flaw, found) in [
        (Flaw::None, ""),
        (
            Flaw::FindsWhatIsNotThere,
            "a key without a record has no record",
        ),
        (
            Flaw::SortsOutputs,
            "a record has the outputs that were saved, in their order, for every process",
        ),
        (
            Flaw::KeepsTheFirstRecord,
            "the last save replaces the record",
        ),
        (
            Flaw::ForgetsAliases,
            "a definition leads to the last key that was noted, with or without a record",
        ),
        (
            Flaw::WantsRecordsForAliases,
            "a definition leads to the last key that was noted, with or without a record",
        ),
        (Flaw::LocksNothing, "a key has one guard at a time"),
        (Flaw::HasOneLock, "hangs"),
    ] {
        let memory = MemoryStorage::new();
        let handle = Handle(Arc::new(Flawed { flaw, memory }));
        let minute = std::time::Duration::from_secs(60);
        let result = tokio::time::timeout(minute, check(&handle)).await;
        let text = match result {
            Ok(Ok(())) => "",
            Ok(Err(ConformanceError::Broken(rule))) => rule,
            Ok(Err(ConformanceError::Storage(never))) => match never {},
            Err(_) => "hangs",
        };
        assert_eq!(text, found, "{flaw:?}");
    }
}
