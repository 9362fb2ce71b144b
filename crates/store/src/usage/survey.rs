//! Everything below the root, in items.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::{Kind, Need, Usage, UsageItem, below};
use oci::Digest;

use crate::db::time;
use crate::disk::Ledger;
use crate::error::Result;
use crate::reach::{Facts, Reach, RecordFacts, Stay};
use crate::{LayerId, Store, file, lease};

/// A thing that is to be measured.
struct Thing {
    item: UsageItem,
    path: PathBuf,
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
            store: self,
            facts: &facts,
            things: Vec::new(),
        };
        survey.blobs()?;
        survey.snapshots();
        survey.trees()?;
        survey.temporaries()?;
        survey.builds()?;
        survey.database();
        Ok(Usage {
            items: survey.measured()?,
            records: facts.records.len() as u64,
        })
    }
}

/// What is needed, without records.
struct Needs {
    /// By images that somebody named, and containers.
    named: Reach,
    /// By live builds too.
    held: Reach,
    /// By images that builds brought in too.
    all: Reach,
}

impl Needs {
    fn of(facts: &Facts) -> Self {
        Self {
            named: facts.of_images(Stay::Named),
            held: facts.reach(Stay::Named, |_| false),
            all: facts.reach(Stay::All, |_| false),
        }
    }

    fn of_blob(&self, digest: &Digest) -> Need {
        self.need(|reach| reach.blobs.contains(digest))
    }

    fn of_layer(&self, id: &LayerId) -> Need {
        self.need(|reach| reach.layers.contains(id))
    }

    fn need(&self, has: impl Fn(&Reach) -> bool) -> Need {
        let needs = [
            (&self.named, Need::Others),
            (&self.held, Need::Builds),
            (&self.all, Need::BuildImages),
        ];
        let found = needs.into_iter().find(|(reach, _)| has(reach));
        found.map_or(Need::Nobody, |(_, need)| need)
    }
}

struct Survey<'a> {
    store: &'a Store,
    facts: &'a Facts,
    things: Vec<Thing>,
}

impl Survey<'_> {
    fn add(&mut self, kind: Kind, id: String, path: PathBuf, need: Need) -> &mut UsageItem {
        let item = UsageItem {
            kind,
            id,
            description: String::new(),
            bytes: 0,
            used: None,
            need,
        };
        self.things.push(Thing { item, path });
        let last = self.things.len() - 1;
        &mut self.things[last].item
    }

    fn blobs(&mut self) -> Result<()> {
        let needs = Needs::of(self.facts);
        for blob in self.store.blobs().list()? {
            let need = needs.of_blob(&blob.digest);
            let path = self.store.blobs().path(&blob.digest);
            self.add(Kind::Blob, blob.digest.to_string(), path, need);
        }
        Ok(())
    }

    fn snapshots(&mut self) {
        let needs = Needs::of(self.facts);
        let facts = self.facts;
        let mut last: HashMap<LayerId, &RecordFacts> = HashMap::new();
        for record in &facts.records {
            // The least recently used come first.
            last.extend(record.layers.last().map(|layer| (*layer, record)));
        }
        let mut uses: HashMap<LayerId, i64> = HashMap::new();
        for record in &facts.records {
            uses.extend(record.layers.iter().map(|layer| (*layer, record.used)));
        }
        for layer in facts.layers.iter().filter(|layer| layer.has_snapshot) {
            let need = needs.of_layer(&layer.id);
            let path = self.store.layout().snapshot(layer.id);
            let item = self.add(Kind::Snapshot, layer.id.to_string(), path, need);
            item.used = uses.get(&layer.id).copied().map(time);
            let record = last.get(&layer.id);
            item.description = record.map_or_else(String::new, |r| r.description.clone());
        }
    }

    fn trees(&mut self) -> Result<()> {
        for mount in self.store.cache_mounts().list()? {
            let directory = self.store.cache_mounts().directory(mount.id);
            let item = self.add(
                Kind::CacheMount,
                mount.id.to_string(),
                directory,
                Need::Nobody,
            );
            item.used = Some(mount.used);
            item.description = mount.key;
        }
        for container in self.store.containers().list()? {
            let directory = self.store.containers().directory(&container.id);
            let item = self.add(Kind::Container, container.id, directory, Need::Others);
            item.description = container.name;
        }
        let ingest = self.store.layout().ingest();
        for name in file::names(&ingest)? {
            if let Ok(digest) = Digest::from_hex(&name) {
                let path = ingest.join(&name);
                self.add(Kind::Download, digest.to_string(), path, Need::Nobody);
            }
        }
        Ok(())
    }

    fn temporaries(&mut self) -> Result<()> {
        let layout = self.store.layout();
        for directory in [
            layout.ingest(),
            layout.snapshots(),
            layout.cache_mounts(),
            layout.trash(),
        ] {
            for name in file::names(&directory)? {
                if name.starts_with("tmp-") {
                    let path = directory.join(&name);
                    let is_dead = self.facts.roots.is_dead(&name) || directory == layout.trash();
                    let need = match is_dead {
                        true => Need::Nobody,
                        false => Need::Builds,
                    };
                    let id = below(self.store.root(), &path);
                    self.add(Kind::Temporary, id, path, need);
                }
            }
        }
        Ok(())
    }

    /// Logs of past builds.
    fn builds(&mut self) -> Result<()> {
        for build in self.store.history().list()? {
            let item = self.add(Kind::Build, build.id, build.log, Need::Others);
            item.used = Some(build.started);
        }
        Ok(())
    }

    fn database(&mut self) {
        for name in ["kiln.db", "kiln.db-wal"] {
            let path = self.store.root().join(name);
            if path.exists() {
                self.add(Kind::Database, name.to_owned(), path, Need::Others);
            }
        }
    }

    /// The items with their bytes, and what is in none of them.
    fn measured(mut self) -> Result<Vec<UsageItem>> {
        let mut ledger = Ledger::default();
        // What is shared with something that is in use does not go with what is not.
        for in_use in [true, false] {
            for (owner, thing) in self.things.iter_mut().enumerate() {
                if thing.item.is_reclaimable() != in_use {
                    thing.item.bytes = ledger.add(owner, &thing.path)?.bytes;
                }
            }
        }
        // It is there for as long as the store is open, such as for us.
        let memory = self.store.root().join("kiln.db-shm");
        let known = self.things.iter().map(|thing| &*thing.path);
        let known: HashSet<&Path> = known.chain([&*memory]).collect();
        let others = self.things.len();
        let bytes = ledger.add_others(others, self.store.root(), &known)?;
        let id = "layout".to_owned();
        self.add(Kind::Other, id, PathBuf::new(), Need::Others)
            .bytes = bytes;
        Ok(self.things.into_iter().map(|thing| thing.item).collect())
    }
}
