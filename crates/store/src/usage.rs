//! What the store takes on disk.
//!
//! Bytes are those that the file system allocated; what is hard-linked is counted once, so that the
//! sum agrees with `df` up to data that files share below that (reflinks).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::db::time;
use crate::disk::Ledger;
use crate::error::Result;
use crate::file;
use crate::reach::Facts;
use crate::{LayerId, Store, lease};

/// What takes space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A blob; named by digest.
    Blob,
    /// The snapshot of a layer; named by layer id. Where it has none, the layer's row.
    Snapshot,
    /// A cache record; named by key. It takes space in the database alone.
    Record,
    /// A cache mount; named by number.
    CacheMount,
    /// What a container wrote; named by container id.
    Container,
    /// A download that is not finished; named by digest.
    Download,
    /// A past build; named by id.
    Build,
    /// The metadata.
    Database,
    /// What a process left that died, or is still at work on; named by path below the root.
    Temporary,
}

/// A thing in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageItem {
    /// What it is.
    pub kind: Kind,
    /// Which one.
    pub id: String,
    /// The bytes that it takes and nothing before it in the list.
    pub bytes: u64,
    /// When it was last used, where that is noted.
    pub used: Option<SystemTime>,
    /// Neither a tag nor a container nor a live build needs it.
    pub reclaimable: bool,
}

/// All that a store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// By kind and id, without records, which have no bytes of their own.
    pub items: Vec<UsageItem>,
    /// The number of cache records.
    pub records: u64,
}

/// Sums of some items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageSum {
    /// How many there are.
    pub count: u64,
    /// What they take.
    pub bytes: u64,
    /// What those take that could go.
    pub reclaimable: u64,
}

impl Usage {
    /// The sum of the items of one kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> UsageSum {
        self.sum(|item| item.kind == kind)
    }

    /// The sum of all.
    #[must_use]
    pub fn total(&self) -> UsageSum {
        self.sum(|_| true)
    }

    fn sum(&self, wanted: impl Fn(&UsageItem) -> bool) -> UsageSum {
        let mut sum = UsageSum::default();
        for item in self.items.iter().filter(|item| wanted(item)) {
            sum.count += 1;
            sum.bytes += item.bytes;
            if item.reclaimable {
                sum.reclaimable += item.bytes;
            }
        }
        sum
    }
}

impl Store {
    /// Measures the store. Takes as long as a walk over all its files.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn usage(&self) -> Result<Usage> {
        let facts = {
            let _collect = lease::collect_lock(self.layout())?;
            self.database()
                .read(|connection| Facts::gather(self, connection))?
        };
        let mut survey = Survey {
            ledger: Ledger::default(),
            items: Vec::new(),
        };
        self.survey_blobs(&facts, &mut survey)?;
        self.survey_trees(&facts, &mut survey)?;
        self.survey_rest(&facts, &mut survey)?;
        Ok(Usage {
            items: survey.items,
            records: facts.records.len() as u64,
        })
    }

    fn survey_blobs(&self, facts: &Facts, survey: &mut Survey) -> Result<()> {
        let reach = facts.reach(|_| false);
        for blob in self.blobs().list()? {
            let reclaimable = !reach.blobs.contains(&blob.digest);
            let path = self.blobs().path(&blob.digest);
            let id = blob.digest.to_string();
            survey.add(Kind::Blob, id, &path, reclaimable)?;
        }
        let mut last_uses: HashMap<LayerId, i64> = HashMap::new();
        for record in &facts.records {
            // The least recently used come first.
            last_uses.extend(record.layers.iter().map(|layer| (*layer, record.used)));
        }
        for layer in facts.layers.iter().filter(|layer| layer.has_snapshot) {
            let reclaimable = !reach.layers.contains(&layer.id);
            let path = self.layout().snapshot(layer.id);
            survey.add(Kind::Snapshot, layer.id.to_string(), &path, reclaimable)?;
            let used = last_uses.get(&layer.id).copied().map(time);
            survey.note_use(used);
        }
        Ok(())
    }

    fn survey_trees(&self, facts: &Facts, survey: &mut Survey) -> Result<()> {
        for mount in self.cache_mounts().list()? {
            let directory = self.cache_mounts().directory(mount.id);
            survey.add(Kind::CacheMount, mount.id.to_string(), &directory, true)?;
            survey.note_use(Some(mount.used));
        }
        for container in self.containers().list()? {
            let directory = self.containers().directory(&container.id);
            survey.add(Kind::Container, container.id, &directory, false)?;
        }
        for name in file::names(&self.layout().ingest())? {
            let path = self.layout().ingest().join(&name);
            match oci::Digest::from_hex(&name) {
                Ok(digest) => survey.add(Kind::Download, digest.to_string(), &path, true)?,
                Err(_) => self.survey_temporary(&path, facts.roots.is_dead(&name), survey)?,
            }
        }
        Ok(())
    }

    fn survey_rest(&self, facts: &Facts, survey: &mut Survey) -> Result<()> {
        for directory in [self.layout().snapshots(), self.layout().cache_mounts()] {
            for name in file::names(&directory)? {
                if name.starts_with("tmp-") {
                    let is_dead = facts.roots.is_dead(&name);
                    self.survey_temporary(&directory.join(&name), is_dead, survey)?;
                }
            }
        }
        for name in file::names(&self.layout().trash())? {
            self.survey_temporary(&self.layout().trash().join(&name), true, survey)?;
        }
        for name in ["kiln.db", "kiln.db-wal", "kiln.db-shm"] {
            let path = self.root().join(name);
            if path.exists() {
                survey.add(Kind::Database, name.to_owned(), &path, false)?;
            }
        }
        Ok(())
    }

    fn survey_temporary(&self, path: &Path, is_dead: bool, survey: &mut Survey) -> Result<()> {
        let id = below(self.root(), path);
        survey.add(Kind::Temporary, id, path, is_dead)
    }
}

/// `path` as it is named in reports.
pub(crate) fn below(root: &Path, path: &Path) -> String {
    let path: PathBuf = path.strip_prefix(root).unwrap_or(path).to_owned();
    path.to_string_lossy().into_owned()
}

struct Survey {
    ledger: Ledger,
    items: Vec<UsageItem>,
}

impl Survey {
    fn add(&mut self, kind: Kind, id: String, path: &Path, reclaimable: bool) -> Result<()> {
        let bytes = self.ledger.add(path)?;
        self.items.push(UsageItem {
            kind,
            id,
            bytes,
            used: None,
            reclaimable,
        });
        Ok(())
    }

    fn note_use(&mut self, used: Option<SystemTime>) {
        if let Some(item) = self.items.last_mut() {
            item.used = used;
        }
    }
}
