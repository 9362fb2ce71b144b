//! Where records are kept.

pub(crate) mod memory;

use std::error::Error;
use std::future::Future;

use crate::keys::{CacheKey, DefinitionKey, KeyParts};

/// Keeps the results of steps under their canonical keys, for later builds and other processes.
///
/// A record may vanish at any time. What [`load`](Self::load) gave stays usable, since an output
/// keeps alive what it refers to. Every method may be dropped half-way and has then happened
/// wholly or not at all.
pub trait CacheStorage: Send + Sync + 'static {
    /// One output of a vertex.
    type Output: Clone + Send + Sync + 'static;
    /// The right to make the record of one key; ends when it is dropped, or with the process.
    type Guard: Send + 'static;
    /// Why the storage cannot be used. A record that is not there, or not usable, is no error.
    type Error: Error + Send + Sync + 'static;

    /// The canonical key that a definition key led to when last it was found out.
    fn canonical(
        &self,
        definition: DefinitionKey,
    ) -> impl Future<Output = Result<Option<CacheKey>, Self::Error>> + Send;

    /// Remembers what a definition key led to, instead of what it led to before.
    fn alias(
        &self,
        definition: DefinitionKey,
        key: CacheKey,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The outputs that were saved under a key, when all of them can still be used.
    fn load(
        &self,
        key: CacheKey,
    ) -> impl Future<Output = Result<Option<Vec<Self::Output>>, Self::Error>> + Send;

    /// Saves the outputs of a step that succeeded, instead of what was there.
    fn save(
        &self,
        key: CacheKey,
        outputs: &[Self::Output],
        parts: &KeyParts,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Waits until nobody else, in this process or another, holds the guard of this key.
    fn lock(&self, key: CacheKey) -> impl Future<Output = Result<Self::Guard, Self::Error>> + Send;
}
