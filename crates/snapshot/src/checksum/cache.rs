//! Checksums of files that are known by what `stat` says of them.

use std::fmt;
use std::time::SystemTime;

use store::{FileStat, StoreError};

use super::walk::{Detail, Found, Node};

/// Remembers the checksums of regular files. What it covers beside the content may grow with this
/// crate, so a cache belongs to one version of it.
pub trait StatCache: fmt::Debug + Sync {
    /// The checksums of `files`, in the same order.
    ///
    /// # Errors
    /// The cache cannot be read.
    fn get(&self, files: &[FileStat]) -> Result<Vec<Option<[u8; 32]>>, StoreError>;

    /// Remembers checksums. Files that were changed too recently must be left out.
    ///
    /// # Errors
    /// The cache cannot be written.
    fn put(&self, files: &[(FileStat, [u8; 32])]) -> Result<(), StoreError>;
}

/// The cache of a store.
#[derive(Clone, Copy)]
pub struct StoreCache<'a> {
    /// It.
    pub cache: store::StatCache<'a>,
    /// Tells a time before the first file was looked at, when all were.
    pub read_since: &'a (dyn Fn() -> SystemTime + Sync),
}

impl fmt::Debug for StoreCache<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreCache")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

impl StatCache for StoreCache<'_> {
    fn get(&self, files: &[FileStat]) -> Result<Vec<Option<[u8; 32]>>, StoreError> {
        self.cache.get(files)
    }

    fn put(&self, files: &[(FileStat, [u8; 32])]) -> Result<(), StoreError> {
        self.cache.put(files, (self.read_since)())
    }
}

/// Fills in what the cache knows; whether it does for each regular file, in order.
pub(super) fn look_up(
    found: &mut [Found],
    cache: Option<&dyn StatCache>,
) -> Result<Vec<bool>, StoreError> {
    let mut files = Vec::new();
    for root in found.iter().flat_map(|found| &found.roots) {
        collect(&root.node, &mut |node, _| files.push(node.file));
    }
    let checksums = match cache {
        Some(cache) => cache.get(&files)?,
        None => vec![None; files.len()],
    };
    let mut next = checksums.iter();
    for root in found.iter_mut().flat_map(|found| &mut found.roots) {
        fill(&mut root.node, &mut next);
    }
    Ok(checksums.iter().map(Option::is_some).collect())
}

/// Remembers what was not known.
pub(super) fn remember(
    found: &[Found],
    known: &[bool],
    cache: Option<&dyn StatCache>,
) -> Result<(), StoreError> {
    let Some(cache) = cache else {
        return Ok(());
    };
    let mut new = Vec::new();
    let mut known = known.iter();
    for root in found.iter().flat_map(|found| &found.roots) {
        collect(&root.node, &mut |node, checksum| {
            if let (Some(false), Some(checksum)) = (known.next(), checksum) {
                new.push((node.file, checksum));
            }
        });
    }
    if new.is_empty() {
        return Ok(());
    }
    cache.put(&new)
}

fn collect<'a>(node: &'a Node, visit: &mut impl FnMut(&'a Node, Option<[u8; 32]>)) {
    match &node.detail {
        Detail::Content(checksum) => visit(node, *checksum),
        Detail::Directory(_, nodes) => nodes.iter().for_each(|node| collect(node, visit)),
        Detail::Target(_) | Detail::Node(_) => {}
    }
}

fn fill<'a>(node: &mut Node, next: &mut impl Iterator<Item = &'a Option<[u8; 32]>>) {
    match &mut node.detail {
        Detail::Content(checksum) => *checksum = next.next().copied().flatten(),
        Detail::Directory(_, nodes) => nodes.iter_mut().for_each(|node| fill(node, next)),
        Detail::Target(_) | Detail::Node(_) => {}
    }
}
