//! The store: one directory, opened by any number of processes and threads at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::blob::Blobs;
use crate::cache_mount::CacheMounts;
use crate::container::Containers;
use crate::db::Database;
use crate::error::Result;
use crate::history::History;
use crate::image::Images;
use crate::layer::Layers;
use crate::layout::{self, Layout};
use crate::lease::Lease;
use crate::lock::KeyGuard;
use crate::private_key::PrivateKey;
use crate::record::Records;
use crate::slot::Slots;
use crate::snapshot::Snapshots;
use crate::stat_cache::StatCache;

/// An open store. Clones share everything; every call may block on the disk or on a lock.
#[derive(Debug, Clone)]
pub struct Store {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    layout: Layout,
    database: Database,
}

impl Store {
    /// Opens the store at `root`, made if it is missing.
    ///
    /// # Errors
    /// `root` holds something else, a store of a newer kiln, or cannot be read or made.
    pub fn open(root: &Path) -> Result<Self> {
        let layout = Layout::new(root);
        let database = layout.database();
        let read_only = layout::open(&layout, || Database::create(&database))?;
        let database = Database::open(database, layout.write_lock(), read_only)?;
        let store = Self {
            state: Arc::new(State { layout, database }),
        };
        store.recover()?;
        Ok(store)
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.layout().root()
    }

    /// Slots for steps, of which there are `count`.
    #[must_use]
    pub const fn slots(&self, count: u32) -> Slots<'_> {
        Slots::new(self, count)
    }

    /// Whether nothing can be written, since a newer kiln keeps more in it than this one knows.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.state.database.is_read_only()
    }

    /// Begins a lease: what is taken or made under it stays until its last clone is dropped.
    /// `now` is the time that its creations and uses are noted with.
    ///
    /// # Errors
    /// The lease's file cannot be made.
    pub fn lease(&self, now: SystemTime) -> Result<Lease> {
        Lease::begin(self.layout(), now)
    }

    /// Blobs: bytes named by digest.
    #[must_use]
    pub const fn blobs(&self) -> Blobs<'_> {
        Blobs::new(self)
    }

    /// Tags.
    #[must_use]
    pub const fn images(&self) -> Images<'_> {
        Images::new(self)
    }

    /// What is known of each layer.
    #[must_use]
    pub const fn layers(&self) -> Layers<'_> {
        Layers::new(self)
    }

    /// The directories of snapshots.
    #[must_use]
    pub const fn snapshots(&self) -> Snapshots<'_> {
        Snapshots::new(self)
    }

    /// Cache records.
    #[must_use]
    pub const fn records(&self) -> Records<'_> {
        Records::new(self)
    }

    /// Checksums of files by their metadata.
    #[must_use]
    pub const fn stat_cache(&self) -> StatCache<'_> {
        StatCache::new(self)
    }

    /// Directories that steps keep between builds.
    #[must_use]
    pub const fn cache_mounts(&self) -> CacheMounts<'_> {
        CacheMounts::new(self)
    }

    /// The directory of volumes, made with the first one.
    #[must_use]
    pub fn volumes(&self) -> PathBuf {
        self.layout().volumes()
    }

    /// The directory of what was set up of networks, made with the first one.
    #[must_use]
    pub fn networks(&self) -> PathBuf {
        self.layout().networks()
    }

    /// Containers that were created.
    #[must_use]
    pub const fn containers(&self) -> Containers<'_> {
        Containers::new(self)
    }

    /// Past builds.
    #[must_use]
    pub const fn history(&self) -> History<'_> {
        History::new(self)
    }

    /// Waits until nobody else works under `key`, and keeps others out.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn lock_key(&self, key: &[u8; 32]) -> Result<KeyGuard> {
        KeyGuard::wait(&self.layout().key_lock(key))
    }

    /// As [`lock_key`](Self::lock_key), but none at once when somebody works under `key`.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn try_lock_key(&self, key: &[u8; 32]) -> Result<Option<KeyGuard>> {
        KeyGuard::attempt(&self.layout().key_lock(key))
    }

    /// The key that digests of secrets are made with, which no other store has.
    ///
    /// # Errors
    /// It cannot be read or made, or is damaged.
    pub fn private_key(&self) -> Result<PrivateKey> {
        PrivateKey::of(self.layout())
    }

    /// Brings to disk what was published without waiting for it. Takes as long as the file system
    /// has data to write; whoever can wait calls it, best after a build.
    ///
    /// # Errors
    /// The file system or the database cannot be written.
    pub fn sync(&self) -> Result<()> {
        self.snapshots().sync()
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.state.layout
    }

    pub(crate) fn database(&self) -> &Database {
        &self.state.database
    }

    /// Finishes what a process did not that died between two steps.
    fn recover(&self) -> Result<()> {
        self.images().recover()?;
        self.snapshots().recover()
    }
}

/// A number that no other caller in this process gets.
pub(crate) fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
