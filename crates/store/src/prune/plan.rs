//! What is to go: rows, and files with their names in reports.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use oci::{Digest, Reference};
use rusqlite::Connection;

use super::choice::{Choice, Measured};
use super::{Keep, PruneRequest, leftovers};
use crate::db::millis;
use crate::error::{Result, io};
use crate::lock::{FileLock, Mode, Wait};
use crate::reach::Reach;
use crate::record::Key;
use crate::usage::Kind;
use crate::{LayerId, Store, file, hex};

/// A download that nobody went on with for this long is given up.
const DOWNLOAD_AGE: Duration = Duration::from_secs(24 * 3600);

/// A file, tree or row that is to go.
#[derive(Debug)]
pub(super) struct Doomed {
    pub(super) kind: Kind,
    pub(super) id: String,
    /// None for what is a row alone.
    pub(super) path: Option<PathBuf>,
}

/// All that is to go.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// With what each went by.
    pub(super) records: Vec<(Key, String)>,
    pub(super) tags: Vec<Reference>,
    pub(super) layers: Vec<LayerId>,
    pub(super) cache_mounts: Vec<i64>,
    pub(super) doomed: Vec<Doomed>,
    /// What the cache takes afterwards, if it was measured.
    pub(super) used: Option<u64>,
    /// Kept until the files are moved aside.
    pub(super) locks: Vec<FileLock>,
}

impl Plan {
    /// Decides; the caller holds both locks.
    pub(super) fn make(
        store: &Store,
        connection: &Connection,
        request: &PruneRequest,
        measured: Option<&Measured>,
    ) -> Result<Self> {
        let mut choice = Choice::gather(store, connection, request)?;
        choice.apply(request, measured);
        let mut plan = Self {
            tags: choice.tags().to_vec(),
            used: measured.map(|measured| choice.cache_bytes(&measured.sizes)),
            ..Self::default()
        };
        let reach = choice.reach();
        plan.take_rows(store, &choice, &reach);
        plan.take_blobs(store, &reach)?;
        plan.take_cache_mounts(store, choice);
        plan.take_builds(store, request.builds)?;
        plan.take_downloads(store, request)?;
        leftovers::gather(&mut plan, store, connection)?;
        Ok(plan)
    }

    /// Notes a file or tree.
    pub(super) fn doom(&mut self, kind: Kind, id: String, path: PathBuf) {
        self.doomed.push(Doomed {
            kind,
            id,
            path: Some(path),
        });
    }

    fn doom_row(&mut self, kind: Kind, id: String) {
        self.doomed.push(Doomed {
            kind,
            id,
            path: None,
        });
    }

    fn take_rows(&mut self, store: &Store, choice: &Choice, reach: &Reach) {
        for record in &choice.facts.records {
            if let Some(cause) = choice.cause(record) {
                self.records.push((record.key, cause.to_owned()));
                self.doom_row(Kind::Record, hex(&record.key));
            }
        }
        for layer in &choice.facts.layers {
            if reach.layers.contains(&layer.id) {
                continue;
            }
            self.layers.push(layer.id);
            if layer.has_snapshot {
                let path = store.layout().snapshot(layer.id);
                self.doom(Kind::Snapshot, layer.id.to_string(), path);
            }
        }
    }

    fn take_blobs(&mut self, store: &Store, reach: &Reach) -> Result<()> {
        for blob in store.blobs().list()? {
            if !reach.blobs.contains(&blob.digest) {
                let path = store.blobs().path(&blob.digest);
                self.doom(Kind::Blob, blob.digest.to_string(), path);
            }
        }
        Ok(())
    }

    fn take_cache_mounts(&mut self, store: &Store, mut choice: Choice) {
        for (mount, lock) in std::mem::take(&mut choice.cache_mounts) {
            if !choice.mount_goes(&mount) {
                continue;
            }
            self.locks.push(lock);
            self.cache_mounts.push(mount.id);
            let path = store.cache_mounts().directory(mount.id);
            self.doom(Kind::CacheMount, mount.id.to_string(), path);
        }
    }

    fn take_builds(&mut self, store: &Store, keep: Keep) -> Result<()> {
        if keep == Keep::All {
            return Ok(());
        }
        let history = store.history();
        for build in history.list()? {
            if !keep.keeps(millis(build.started)) && !history.is_running(&build) {
                self.doom(Kind::Build, build.id, build.log);
            }
        }
        Ok(())
    }

    fn take_downloads(&mut self, store: &Store, request: &PruneRequest) -> Result<()> {
        for name in file::names(&store.layout().ingest())? {
            let Ok(digest) = Digest::from_hex(&name) else {
                continue;
            };
            let path = store.layout().ingest().join(&name);
            let Some(lock) = FileLock::acquire(&path, Mode::Exclusive, Wait::Not)? else {
                continue;
            };
            let changed = lock
                .file()
                .metadata()
                .and_then(|metadata| metadata.modified())
                .map_err(io("stat", &path))?;
            if request.everything || is_old(changed, request.now) {
                self.locks.push(lock);
                self.doom(Kind::Download, digest.to_string(), path);
            }
        }
        Ok(())
    }
}

/// One of a time far to come was written before the clock was set: nobody goes on with it by then.
fn is_old(changed: SystemTime, now: SystemTime) -> bool {
    let apart = now
        .duration_since(changed)
        .unwrap_or_else(|later| later.duration());
    apart > DOWNLOAD_AGE
}
