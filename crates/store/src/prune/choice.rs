//! Which records and cache mounts go, rule by rule.

use std::collections::{HashMap, HashSet};

use oci::Reference;
use rusqlite::Connection;

use super::PruneRequest;
use super::filter::Subject;
use super::rule::Rule;
use crate::cache_mount::CacheMountRow;
use crate::db::{millis, time};
use crate::disk::Disk;
use crate::error::Result;
use crate::lock::{FileLock, Mode, Wait};
use crate::reach::{Facts, Reach, RecordFacts, Stay};
use crate::record::Key;
use crate::usage::Sizes;
use crate::{Store, hex};

/// What stays and what goes, of one moment.
pub(super) struct Choice {
    pub(super) facts: Facts,
    /// Those that nobody uses.
    pub(super) cache_mounts: Vec<(CacheMountRow, FileLock)>,
    /// Which images stay.
    images: Stay,
    /// What those and containers need.
    of_images: Reach,
    gone: Gone,
}

/// What goes, and why.
#[derive(Debug, Default)]
struct Gone {
    records: HashMap<Key, String>,
    cache_mounts: HashMap<i64, String>,
}

/// What a rule may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Candidate {
    Record(Key),
    CacheMount(i64),
}

/// How large things are, and what room there is.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) sizes: Sizes,
    pub(super) disk: Disk,
}

impl Choice {
    pub(super) fn gather(
        store: &Store,
        connection: &Connection,
        request: &PruneRequest,
    ) -> Result<Self> {
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
        let facts = Facts::gather(store, connection)?;
        let images = match request.everything {
            true => Stay::Named,
            false => Stay::All,
        };
        Ok(Self {
            images,
            of_images: facts.of_images(images),
            facts,
            cache_mounts,
            gone: Gone::default(),
        })
    }

    /// Whether a rule has something to take and needs sizes to say how much of it.
    pub(super) fn needs_sizes(&self, request: &PruneRequest, disk: Disk) -> bool {
        request.rules.iter().any(|rule| {
            rule.is_bounded()
                && rule.may_bind(disk.used(), disk)
                && !self.candidates(rule, request).is_empty()
        })
    }

    /// Applies all rules in order. A rule with bounds does nothing without sizes.
    pub(super) fn apply(&mut self, request: &PruneRequest, measured: Option<&Measured>) {
        for rule in &request.rules {
            let candidates = self.candidates(rule, request);
            match (rule.is_bounded(), measured) {
                (false, _) => self.take(&candidates, &rule.cause("")),
                (true, Some(measured)) => self.take_until(rule, &candidates, measured),
                (true, None) => {}
            }
        }
    }

    /// Why the record goes; none if it stays.
    pub(super) fn cause(&self, record: &RecordFacts) -> Option<&str> {
        self.gone.records.get(&record.key).map(String::as_str)
    }

    /// Tags that go.
    pub(super) fn tags(&self) -> &[Reference] {
        match self.images {
            Stay::All => &[],
            Stay::Named => &self.facts.roots.build_tags,
        }
    }

    pub(super) fn mount_goes(&self, mount: &CacheMountRow) -> bool {
        self.gone.cache_mounts.contains_key(&mount.id)
    }

    pub(super) fn reach(&self) -> Reach {
        let stays = |record: &RecordFacts| !self.gone.records.contains_key(&record.key);
        self.facts.reach(self.images, stays)
    }

    /// What `rule` may take, the least recently used first. What was used in a time to come, before
    /// the clock was set back, comes before that: nobody knows when it was.
    fn candidates(&self, rule: &Rule, request: &PruneRequest) -> Vec<Candidate> {
        let records = self.facts.records.iter().filter(|record| {
            !self.facts.roots.records.contains(&record.key)
                && !self.gone.records.contains_key(&record.key)
        });
        let records = records.filter_map(|record| {
            let id = hex(&record.key);
            let subject = Subject {
                id: &id,
                kind: record.kind.name(),
                description: &record.description,
                in_use: false,
                shared: self.is_shared(record),
                mutable: false,
            };
            let found = rule.matches(&subject, time(record.used), request.now);
            found.then_some((record.used, Candidate::Record(record.key)))
        });
        let mounts = self.cache_mounts.iter().map(|(mount, _)| mount);
        let mounts = mounts.filter(|mount| !self.gone.cache_mounts.contains_key(&mount.id));
        let mounts = mounts.filter_map(|mount| {
            let id = mount.id.to_string();
            let subject = Subject {
                id: &id,
                kind: "exec.cachemount",
                description: &mount.key,
                in_use: false,
                shared: false,
                mutable: true,
            };
            let found = rule.matches(&subject, mount.used, request.now);
            found.then_some((millis(mount.used), Candidate::CacheMount(mount.id)))
        });
        let mut candidates: Vec<_> = records.chain(mounts).collect();
        let now = millis(request.now);
        candidates.sort_by_key(|(used, _)| (*used <= now, *used));
        candidates.into_iter().map(|(_, one)| one).collect()
    }

    /// Whether images and containers need all that the record has.
    fn is_shared(&self, record: &RecordFacts) -> bool {
        let mut layers = record.layers.iter();
        !record.layers.is_empty() && layers.all(|layer| self.of_images.layers.contains(layer))
    }

    fn take(&mut self, candidates: &[Candidate], cause: &str) {
        for candidate in candidates {
            match candidate {
                Candidate::Record(key) => {
                    drop(self.gone.records.insert(*key, cause.to_owned()));
                }
                Candidate::CacheMount(id) => {
                    drop(self.gone.cache_mounts.insert(*id, cause.to_owned()));
                }
            }
        }
    }

    fn give_back(&mut self, candidates: &[Candidate]) {
        for candidate in candidates {
            match candidate {
                Candidate::Record(key) => drop(self.gone.records.remove(key)),
                Candidate::CacheMount(id) => drop(self.gone.cache_mounts.remove(id)),
            }
        }
    }

    /// Takes as few as needed.
    fn take_until(&mut self, rule: &Rule, candidates: &[Candidate], measured: &Measured) {
        let before = self.cache_bytes(&measured.sizes);
        // What earlier rules took is free by now.
        let all = self.facts.reach(self.images, |_| true);
        let all = measured.sizes.cache(&all, &self.of_images, |_| true);
        let disk = Disk {
            free: measured.disk.free + all.saturating_sub(before),
            ..measured.disk
        };
        let limit = rule.limit(before, disk);
        let cause = rule.cause(&limit.cause);
        // The smallest number that is enough can be bisected: what stays shrinks with each.
        let (mut enough, mut short) = (candidates.len(), 0);
        while short < enough {
            let middle = short + (enough - short) / 2;
            self.take(&candidates[..middle], &cause);
            let bytes = self.cache_bytes(&measured.sizes);
            self.give_back(&candidates[..middle]);
            if bytes > limit.bytes {
                short = middle + 1;
            } else {
                enough = middle;
            }
        }
        self.take(&candidates[..enough], &cause);
    }

    /// What stays beyond what tags and containers need.
    pub(super) fn cache_bytes(&self, sizes: &Sizes) -> u64 {
        let mounts: HashSet<i64> = self.gone.cache_mounts.keys().copied().collect();
        sizes.cache(&self.reach(), &self.of_images, |id| !mounts.contains(&id))
    }
}
