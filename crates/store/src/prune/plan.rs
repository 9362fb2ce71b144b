//! What is to go: rows, and files with their names in reports.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use oci::Digest;
use rusqlite::Connection;

use super::{Keep, PruneRequest, leftovers};
use crate::cache_mount::CacheMountRow;
use crate::db::millis;
use crate::error::{Result, io};
use crate::lock::{FileLock, Mode, Wait};
use crate::reach::{Facts, Reach, RecordFacts};
use crate::record::Key;
use crate::usage::{Kind, Usage};
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
    pub(super) records: Vec<Key>,
    pub(super) layers: Vec<LayerId>,
    pub(super) cache_mounts: Vec<i64>,
    pub(super) builds: Vec<String>,
    pub(super) doomed: Vec<Doomed>,
    /// Kept until the files are moved aside.
    pub(super) locks: Vec<FileLock>,
}

impl Plan {
    /// Decides; the caller holds both locks.
    pub(super) fn make(
        store: &Store,
        connection: &Connection,
        request: &PruneRequest,
        usage: &Usage,
    ) -> Result<Self> {
        let mut choice = Choice::gather(store, connection, request)?;
        if let Some(limit) = request.max_bytes {
            choice.evict(usage, limit);
        }
        let mut plan = Self::default();
        let reach = choice.reach();
        plan.take_rows(store, &choice, &reach);
        plan.take_blobs(store, &reach)?;
        plan.take_cache_mounts(store, choice);
        plan.take_builds(store, connection, request.builds)?;
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
            if !choice.stays(record) {
                self.records.push(record.key);
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

    fn take_cache_mounts(&mut self, store: &Store, choice: Choice) {
        for (mount, lock) in choice.cache_mounts {
            if keeps_mount(choice.cache_mount_policy, &choice.evicted_mounts, &mount) {
                continue;
            }
            self.locks.push(lock);
            self.cache_mounts.push(mount.id);
            let path = store.cache_mounts().directory(mount.id);
            self.doom(Kind::CacheMount, mount.id.to_string(), path);
        }
    }

    fn take_builds(&mut self, store: &Store, connection: &Connection, keep: Keep) -> Result<()> {
        if keep == Keep::All {
            return Ok(());
        }
        for build in crate::history::list(connection, i64::MAX)? {
            let used = build.finished.unwrap_or(build.started);
            if keep.keeps(millis(used)) {
                continue;
            }
            match build.log {
                Some(log) if log.starts_with(store.root()) => {
                    self.doom(Kind::Build, build.id.clone(), log)
                }
                _ => self.doom_row(Kind::Build, build.id.clone()),
            }
            self.builds.push(build.id);
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
            if request.records == Keep::Nothing || is_old(changed, request.now) {
                self.locks.push(lock);
                self.doom(Kind::Download, digest.to_string(), path);
            }
        }
        Ok(())
    }
}

fn is_old(changed: SystemTime, now: SystemTime) -> bool {
    now.duration_since(changed)
        .is_ok_and(|age| age > DOWNLOAD_AGE)
}

/// Which records and cache mounts stay.
struct Choice {
    facts: Facts,
    /// Those that nobody uses.
    cache_mounts: Vec<(CacheMountRow, FileLock)>,
    record_policy: Keep,
    cache_mount_policy: Keep,
    evicted_records: HashSet<Key>,
    evicted_mounts: HashSet<i64>,
}

/// What goes when space is short.
#[derive(Clone, Copy)]
enum Candidate {
    Record(Key),
    CacheMount(i64),
}

impl Choice {
    fn gather(store: &Store, connection: &Connection, request: &PruneRequest) -> Result<Self> {
        let mut cache_mounts = Vec::new();
        for mount in crate::cache_mount::list(store, connection)? {
            let path = store.cache_mounts().directory(mount.id).join("lock");
            // One whose directory is gone has no lock, and is for the check of the store.
            if path.exists()
                && let Some(lock) = FileLock::acquire(&path, Mode::Exclusive, Wait::Not)?
            {
                cache_mounts.push((mount, lock));
            }
        }
        Ok(Self {
            facts: Facts::gather(store, connection)?,
            cache_mounts,
            record_policy: request.records,
            cache_mount_policy: request.cache_mounts,
            evicted_records: HashSet::new(),
            evicted_mounts: HashSet::new(),
        })
    }

    /// Whether the record stays.
    fn stays(&self, record: &RecordFacts) -> bool {
        self.facts.roots.records.contains(&record.key)
            || (self.record_policy.keeps(record.used)
                && !self.evicted_records.contains(&record.key))
    }

    fn reach(&self) -> Reach {
        self.facts.reach(|record| self.stays(record))
    }

    /// Lets as few go as needed, the least recently used first, so that what stays takes no more
    /// than `limit`.
    fn evict(&mut self, usage: &Usage, limit: u64) {
        let candidates = self.candidates();
        // What stays shrinks with each that goes: the smallest sufficient number can be bisected.
        let (mut enough, mut short) = (candidates.len(), 0);
        while short < enough {
            let middle = short + (enough - short) / 2;
            self.evict_first(&candidates, middle);
            if self.staying_bytes(usage) > limit {
                short = middle + 1;
            } else {
                enough = middle;
            }
        }
        self.evict_first(&candidates, enough);
    }

    fn candidates(&self) -> Vec<Candidate> {
        let records = self
            .facts
            .records
            .iter()
            .filter(|record| self.stays(record) && !self.facts.roots.records.contains(&record.key))
            .map(|record| (record.used, Candidate::Record(record.key)));
        let mounts = self
            .cache_mounts
            .iter()
            .filter(|(mount, _)| keeps_mount(self.cache_mount_policy, &HashSet::new(), mount))
            .map(|(mount, _)| (millis(mount.used), Candidate::CacheMount(mount.id)));
        let mut candidates: Vec<_> = records.chain(mounts).collect();
        candidates.sort_by_key(|(used, _)| *used);
        candidates
            .into_iter()
            .map(|(_, candidate)| candidate)
            .collect()
    }

    fn evict_first(&mut self, candidates: &[Candidate], count: usize) {
        self.evicted_records.clear();
        self.evicted_mounts.clear();
        for candidate in candidates.iter().take(count) {
            match candidate {
                Candidate::Record(key) => drop(self.evicted_records.insert(*key)),
                Candidate::CacheMount(id) => drop(self.evicted_mounts.insert(*id)),
            }
        }
    }

    /// What stays of what was measured.
    fn staying_bytes(&self, usage: &Usage) -> u64 {
        let reach = self.reach();
        let blobs: HashSet<_> = reach.blobs.iter().map(Digest::to_string).collect();
        let layers: HashSet<_> = reach.layers.iter().map(LayerId::to_string).collect();
        let gone: HashSet<_> = self
            .cache_mounts
            .iter()
            .map(|(mount, _)| mount)
            .filter(|mount| !keeps_mount(self.cache_mount_policy, &self.evicted_mounts, mount))
            .map(|mount| mount.id.to_string())
            .collect();
        let stays = |kind, id: &String, reclaimable: bool| match kind {
            Kind::Blob => blobs.contains(id),
            Kind::Snapshot => layers.contains(id),
            Kind::CacheMount => !gone.contains(id),
            Kind::Temporary => !reclaimable,
            _ => true,
        };
        usage
            .items
            .iter()
            .filter(|item| stays(item.kind, &item.id, item.reclaimable))
            .map(|item| item.bytes)
            .sum()
    }
}

fn keeps_mount(policy: Keep, evicted: &HashSet<i64>, mount: &CacheMountRow) -> bool {
    policy.keeps(millis(mount.used)) && !evicted.contains(&mount.id)
}
