//! Records in memory: for tests, and for builds that leave nothing behind.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

use crate::cache_storage::CacheStorage;
use crate::keys::{CacheKey, DefinitionKey, KeyParts};

/// Keeps records for as long as it lives.
pub struct MemoryStorage<O> {
    held: Mutex<Held<O>>,
}

/// The right to make one record; ends when it is dropped.
#[derive(Debug)]
pub struct MemoryStorageGuard {
    _held: OwnedMutexGuard<()>,
}

struct Held<O> {
    aliases: HashMap<DefinitionKey, CacheKey>,
    records: HashMap<CacheKey, (Vec<O>, KeyParts)>,
    /// Dead entries are removed when the map has doubled, so that it stays as small as its use.
    locks: HashMap<CacheKey, Weak<tokio::sync::Mutex<()>>>,
    tidy_at: usize,
}

impl<O> MemoryStorage<O> {
    /// No records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes the record of a key; says whether there was one.
    pub fn remove(&self, key: CacheKey) -> bool {
        self.held().records.remove(&key).is_some()
    }

    /// The keys of all records, sorted.
    #[must_use]
    pub fn keys(&self) -> Vec<CacheKey> {
        let mut keys: Vec<_> = self.held().records.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    /// What the key of a record was made of.
    #[must_use]
    pub fn parts(&self, key: CacheKey) -> Option<KeyParts> {
        self.held()
            .records
            .get(&key)
            .map(|(_, parts)| parts.clone())
    }

    /// The number of keys whose guard somebody holds or waits for.
    #[must_use]
    pub fn locked(&self) -> usize {
        let held = self.held();
        let live = held.locks.values().filter(|lock| lock.strong_count() > 0);
        live.count()
    }

    fn held(&self) -> MutexGuard<'_, Held<O>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_of(&self, key: CacheKey) -> Arc<tokio::sync::Mutex<()>> {
        let mut held = self.held();
        if let Some(lock) = held.locks.get(&key).and_then(Weak::upgrade) {
            return lock;
        }
        if held.locks.len() >= held.tidy_at {
            held.locks.retain(|_, lock| lock.strong_count() > 0);
            held.tidy_at = 2 * held.locks.len().max(64);
        }
        let lock = Arc::default();
        held.locks.insert(key, Arc::downgrade(&lock));
        lock
    }
}

impl<O: Clone + Send + Sync + 'static> CacheStorage for MemoryStorage<O> {
    type Output = O;
    type Guard = MemoryStorageGuard;
    type Error = Infallible;

    async fn canonical(&self, definition: DefinitionKey) -> Result<Option<CacheKey>, Infallible> {
        Ok(self.held().aliases.get(&definition).copied())
    }

    async fn alias(&self, definition: DefinitionKey, key: CacheKey) -> Result<(), Infallible> {
        self.held().aliases.insert(definition, key);
        Ok(())
    }

    async fn load(&self, key: CacheKey) -> Result<Option<Vec<O>>, Infallible> {
        let held = self.held();
        Ok(held.records.get(&key).map(|(outputs, _)| outputs.clone()))
    }

    async fn save(&self, key: CacheKey, outputs: &[O], parts: &KeyParts) -> Result<(), Infallible> {
        let record = (outputs.to_vec(), parts.clone());
        self.held().records.insert(key, record);
        Ok(())
    }

    async fn lock(&self, key: CacheKey) -> Result<MemoryStorageGuard, Infallible> {
        let lock = self.lock_of(key);
        Ok(MemoryStorageGuard {
            _held: lock.lock_owned().await,
        })
    }
}

impl<O> Default for MemoryStorage<O> {
    fn default() -> Self {
        Self {
            held: Mutex::new(Held {
                aliases: HashMap::new(),
                records: HashMap::new(),
                locks: HashMap::new(),
                tidy_at: 64,
            }),
        }
    }
}

impl<O> fmt::Debug for MemoryStorage<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.held();
        f.debug_struct("MemoryStorage")
            .field("aliases", &held.aliases.len())
            .field("records", &held.records.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{Subject, check};

    struct Memory(Arc<MemoryStorage<u32>>);

    impl Subject for Memory {
        type Storage = MemoryStorage<u32>;

        fn storage(&self) -> Arc<MemoryStorage<u32>> {
            Arc::clone(&self.0)
        }

        fn output(&self, number: u32) -> u32 {
            number
        }

        fn number(&self, output: &u32) -> u32 {
            *output
        }
    }

    #[tokio::test]
    async fn memory_conforms() {
        let memory = Memory(Arc::default());
        check(&memory).await.unwrap();
        assert_eq!(memory.0.locked(), 0);
    }

    #[tokio::test]
    async fn locks_that_nobody_holds_take_no_room() {
        let storage = MemoryStorage::<u32>::new();
        for number in 0..1000_u32 {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&number.to_le_bytes());
            drop(storage.lock(CacheKey(key)).await);
        }
        assert!(storage.held().locks.len() <= 128);
    }
}
