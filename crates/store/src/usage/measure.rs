//! How large the parts of the cache are, so that it can be told what goes with some of them.

use oci::Digest;

use crate::disk::{Ledger, Shared};
use crate::error::Result;
use crate::reach::Reach;
use crate::{LayerId, Store};

/// Bytes of blobs, snapshots and cache mounts, and what several of them share.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    /// With the bytes that it shares with none.
    parts: Vec<(Part, u64)>,
    /// Owners are numbers of parts.
    shared: Vec<Shared>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Blob(Digest),
    Layer(LayerId),
    CacheMount(i64),
}

impl Sizes {
    /// What the parts take that stay in `reach`, and the cache mounts that stay, without what is
    /// `of_images`.
    pub(crate) fn cache(
        &self,
        reach: &Reach,
        of_images: &Reach,
        mount_stays: impl Fn(i64) -> bool,
    ) -> u64 {
        let place = |part: &Part| match part {
            Part::Blob(digest) if of_images.blobs.contains(digest) => Place::Image,
            Part::Layer(id) if of_images.layers.contains(id) => Place::Image,
            Part::Blob(digest) if reach.blobs.contains(digest) => Place::Cache,
            Part::Layer(id) if reach.layers.contains(id) => Place::Cache,
            Part::CacheMount(id) if mount_stays(*id) => Place::Cache,
            _ => Place::Gone,
        };
        let places: Vec<Place> = self.parts.iter().map(|(part, _)| place(part)).collect();
        let own = self.parts.iter().zip(&places);
        let own = own.filter(|(_, place)| **place == Place::Cache);
        let own: u64 = own.map(|((_, bytes), _)| bytes).sum();
        let shared = self.shared.iter().filter(|shared| {
            let has = |wanted| shared.owners.iter().any(|owner| places[*owner] == wanted);
            has(Place::Cache) && !has(Place::Image)
        });
        own + shared.map(|shared| shared.bytes).sum::<u64>()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Image,
    Cache,
    Gone,
}

impl Store {
    /// Measures the cache. Takes as long as a walk over all its files.
    pub(crate) fn sizes(&self) -> Result<Sizes> {
        let blobs = self.blobs().list()?.into_iter();
        let layers = self.layers().list()?.into_iter();
        let mounts = self.cache_mounts().list()?.into_iter();
        let all = blobs
            .map(|blob| Part::Blob(blob.digest))
            .chain(layers.map(|layer| Part::Layer(layer.id)))
            .chain(mounts.map(|mount| Part::CacheMount(mount.id)));
        let mut ledger = Ledger::default();
        let mut parts = Vec::new();
        for part in all {
            let path = match &part {
                Part::Blob(digest) => self.blobs().path(digest),
                Part::Layer(id) => self.layout().snapshot(*id),
                Part::CacheMount(id) => self.cache_mounts().directory(*id),
            };
            let added = ledger.add(parts.len(), &path)?;
            parts.push((part, added.alone));
        }
        Ok(Sizes {
            parts,
            shared: ledger.into_shared(),
        })
    }
}
