//! Where things are in a store:
//!
//! ```text
//! private-key           what digests of secrets are made with; its owner's alone
//! version               format and feature flags; written last, so it marks a complete store
//! oci-layout            image-spec, image-layout.md
//! index.json            the tags, kept in step with the database
//! blobs/sha256/<hex>    blobs, whole and verified
//! ingest/<hex>          a download in progress, locked by its writer, resumed by the next
//! ingest/tmp-<lease>-<n> a blob being written under a lease
//! snapshots/<layer>/    a committed snapshot of that layer
//! snapshots/tmp-<lease>-<n>/ one being filled under a lease
//! cache-mounts/<n>/     a cache mount: `lock` and `data/`
//! containers/<id>/      the writable directories of a container; `lock` is held while it runs
//! volumes/<name>/       a volume: `volume.json` and `data/`
//! leases/<id>           what a live build holds; locked by it
//! locks/write           held around every write transaction
//! locks/collect         shared while something is taken under a lease, exclusive in collection
//! locks/policy          held by who collects by policy
//! locks/keys/<hex>      locks on cache keys
//! locks/slots/<n>       held while a step runs; `queue-<n>` while somebody waits
//! logs/<millis>-<id>.log a build: when it began, its ID; locked by it while it runs
//! trash/                removed trees on their way out
//! kiln.db               metadata (SQLite, write-ahead log)
//! ```
//!
//! Nobody but SQLite opens `kiln.db`: closing a second descriptor would drop its locks.

mod filesystem;
mod init;
mod version;

use std::path::{Path, PathBuf};

use oci::Digest;

use crate::{LayerId, hex};

pub use version::{FORMAT, Features};

pub(crate) use init::{OCI_LAYOUT, open};

/// The paths of one store.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

/// The directories below the root, with their modes: what holds file systems of others is closed.
const DIRECTORIES: &[(&str, u32)] = &[
    ("blobs/sha256", 0o755),
    ("ingest", 0o700),
    ("snapshots", 0o700),
    ("cache-mounts", 0o700),
    ("containers", 0o700),
    ("leases", 0o700),
    ("locks/keys", 0o700),
    ("locks/slots", 0o700),
    ("logs", 0o700),
    ("trash", 0o700),
];

/// Every name that a store has in its root.
pub(crate) const NAMES: &[&str] = &[
    "private-key",
    "private-key.new",
    "version",
    "version.new",
    "oci-layout",
    "oci-layout.new",
    "index.json",
    "index.json.new",
    "blobs",
    "ingest",
    "snapshots",
    "cache-mounts",
    "containers",
    "volumes",
    "networks",
    "contexts",
    "leases",
    "locks",
    "logs",
    "trash",
    "kiln.db",
    "kiln.db-wal",
    "kiln.db-shm",
    "kiln.db-journal",
    "kiln.db.damaged",
    "kiln.db.damaged-wal",
    "kiln.db.damaged-shm",
];

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn private_key(&self) -> PathBuf {
        self.root.join("private-key")
    }

    pub(crate) fn version(&self) -> PathBuf {
        self.root.join("version")
    }

    pub(crate) fn oci_layout(&self) -> PathBuf {
        self.root.join("oci-layout")
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.root.join("index.json")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("kiln.db")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        let mut path = self.blobs();
        path.push(digest.hex());
        path
    }

    pub(crate) fn ingest(&self) -> PathBuf {
        self.root.join("ingest")
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    pub(crate) fn snapshot(&self, layer: LayerId) -> PathBuf {
        let mut path = self.snapshots();
        path.push(layer.to_string());
        path
    }

    pub(crate) fn cache_mounts(&self) -> PathBuf {
        self.root.join("cache-mounts")
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    pub(crate) fn networks(&self) -> PathBuf {
        self.root.join("networks")
    }

    pub(crate) fn leases(&self) -> PathBuf {
        self.root.join("leases")
    }

    pub(crate) fn key_locks(&self) -> PathBuf {
        self.root.join("locks/keys")
    }

    pub(crate) fn key_lock(&self, key: &[u8; 32]) -> PathBuf {
        let mut path = self.key_locks();
        path.push(hex(key));
        path
    }

    pub(crate) fn slots(&self) -> PathBuf {
        self.root.join("locks/slots")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub(crate) fn write_lock(&self) -> PathBuf {
        self.root.join("locks/write")
    }

    pub(crate) fn collect_lock(&self) -> PathBuf {
        self.root.join("locks/collect")
    }

    pub(crate) fn policy_lock(&self) -> PathBuf {
        self.root.join("locks/policy")
    }

    pub(crate) fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }
}

/// The name under which a document is written before it takes its place.
pub(crate) fn new_name(path: &Path) -> PathBuf {
    path.with_added_extension("new")
}
