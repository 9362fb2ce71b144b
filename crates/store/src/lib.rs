//! The store: kiln's state on disk, an OCI image layout with a database beside it.
//!
//! Any number of processes and threads use one store at once. What always holds:
//! - What is seen under its name is whole and verified: temporary file, fsync, rename, fsync of the
//!   directory, then the metadata transaction.
//! - After a process dies at any instruction the store opens, and nothing that was finished is
//!   lost. After a power cut tags and containers are there; some cache records may be missing.
//! - What a live lease holds is not collected. A dead process's lease is recognised by its free
//!   file lock, never by a process number.
//!
//! Begin with [`Store`]; `layout` says where things are. Every call may block.

mod blob;
mod cache_mount;
mod collection;
mod container;
mod db;
mod disk;
mod error;
pub mod fail;
mod file;
mod fsck;
mod history;
mod image;
mod layer;
mod layout;
mod lease;
mod lock;
mod private_key;
mod prune;
mod reach;
mod rebuild;
mod record;
mod slot;
mod snapshot;
mod stat_cache;
mod store;
mod usage;

pub use blob::{Blob, BlobWriter, Blobs, Download, Ingest, VerifiedReader};
pub use cache_mount::{
    CacheMount, CacheMountRow, CacheMounts, MountEviction, MountLimit, MountSize, Sharing,
};
pub use collection::{Collection, CollectionGuard};
pub use container::{Container, ContainerState, Containers};
pub use disk::Disk;
pub use error::{Result, StoreError};
pub use fsck::{Depth, Problem};
pub use history::{Build, BuildLog, History};
pub use image::{Image, Images};
pub use layer::{LayerId, LayerRow, LayerSource, Layers, NewLayer};
pub use layout::{FORMAT, Features};
pub use lease::{Hold, Lease, Resource, new_id};
pub use lock::KeyGuard;
pub use private_key::PrivateKey;
pub use prune::{Filter, FilterError, Keep, PruneRequest, Pruned, Removed, Rule, Told};
pub use record::{Ancestor, Eviction, Key, NewRecord, Record, RecordKind, Records};
pub use slot::{Slot, Slots};
pub use snapshot::{Snapshots, Synced, TempSnapshot};
pub use stat_cache::{FileStat, StatCache};
pub use store::Store;
pub use usage::{Kind, Need, Usage, UsageItem, UsageSum};

/// Lower-case hexadecimal characters.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
