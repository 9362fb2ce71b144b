//! The cache is kept within bounds by itself: after builds, by the policy in `kiln.toml`.

use std::time::Duration;

use store::{Collection, PruneRequest, Pruned};

use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::image::is_untagged;

/// A collection that did not help, or that others make up for at once, is not tried again before.
const SETTLE: Duration = Duration::from_secs(600);

impl Engine {
    /// Whether a collection is worth its time now. Asks the disk and one row of the database.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn gc_is_due(&self) -> Result<bool, EngineError> {
        self.0.gc_is_due()
    }

    /// Collects by the policy; nothing while another process is at it. With `dry_run` it is only
    /// told what would go.
    ///
    /// # Errors
    /// The store cannot be read or written. That is noted for the next build to tell.
    pub fn gc(&self, dry_run: bool) -> Result<Option<Pruned>, EngineError> {
        let engine = &self.0;
        let Some(_guard) = engine.store.try_collect()? else {
            return Ok(None);
        };
        let pruned = self.collect(dry_run);
        if !dry_run {
            let error = pruned.as_ref().err().map(ToString::to_string);
            engine.store.note_collection(&Collection {
                finished: engine.clock.now(),
                free: engine.store.disk()?.free,
                used: pruned.as_ref().ok().and_then(|pruned| pruned.used),
                error,
            })?;
        }
        pruned.map(Some)
    }

    /// Why the last collection failed, if it did.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn gc_failure(&self) -> Result<Option<String>, EngineError> {
        let last = self.0.store.last_collection()?;
        Ok(last.and_then(|last| last.error))
    }

    fn collect(&self, dry_run: bool) -> Result<Pruned, EngineError> {
        let engine = &self.0;
        if !dry_run {
            self.forget_untagged()?;
        }
        let disk = engine.store.disk()?;
        let request = PruneRequest {
            rules: engine.config.gc.rules(disk),
            dry_run,
            ..PruneRequest::new(engine.clock.now())
        };
        let mut pruned = engine.store.prune(&request)?;
        if !dry_run {
            pruned.removed.extend(engine.keep_limits()?);
            engine.store.compact()?;
        }
        Ok(pruned)
    }

    /// Removes images without names that are old enough. One that a container uses stays.
    fn forget_untagged(&self) -> Result<(), EngineError> {
        let engine = &self.0;
        let Some(keep) = engine.config.gc.keep_untagged else {
            return Ok(());
        };
        let now = engine.clock.now();
        for image in engine.store.images().list()? {
            let is_old = now
                .duration_since(image.updated)
                .is_ok_and(|age| age >= keep);
            if is_old && is_untagged(&image.reference) {
                match self.remove_image(&image.reference.to_string(), false) {
                    Err(EngineError::ImageInUse { .. } | EngineError::NoSuchImage(_)) => {}
                    removed => drop(removed?),
                }
            }
        }
        Ok(())
    }

    /// Whether a collection after a build is waited for.
    #[must_use]
    pub fn waits_for_gc(&self) -> bool {
        self.0.config.gc.wait
    }
}

impl Inner {
    fn gc_is_due(&self) -> Result<bool, EngineError> {
        let config = &self.config.gc;
        if !config.enabled {
            return Ok(false);
        }
        let (now, disk) = (self.clock.now(), self.store.disk()?);
        let Some(last) = self.store.last_collection()? else {
            // In a new store nothing is old and nothing was measured: the count begins.
            self.store.note_collection(&Collection {
                finished: now,
                free: disk.free,
                used: Some(0),
                error: None,
            })?;
            return Ok(false);
        };
        // One in a time to come was before the clock was set back.
        let Ok(since) = now.duration_since(last.finished) else {
            return Ok(true);
        };
        if since >= config.interval {
            return Ok(true);
        }
        if self.store.cache_mounts().is_limit_due(last.finished)? {
            return Ok(true);
        }
        if since < SETTLE.min(config.interval) {
            return Ok(false);
        }
        // Whatever the disk lost since then may be the cache's.
        let grown = last.free.saturating_sub(disk.free);
        let used = last
            .used
            .map_or(disk.used(), |used| used.saturating_add(grown));
        let by_space = |rule: &store::Rule| rule.unused_for.is_none() && rule.may_bind(used, disk);
        Ok(config.rules(disk).iter().any(by_space))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::clock::Set;
    use crate::{Config, EngineOptions};

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn engine(root: &Path, now: SystemTime) -> Engine {
        Engine::open(EngineOptions {
            root: root.to_owned(),
            config: Config::default(),
            docker_config: None,
            helper_path: Vec::new(),
            fetch_variables: Vec::new(),
            clock: Arc::new(Set::to(now)),
        })
        .unwrap()
    }

    /// A collection took place while the clock was ahead. Once it is right again the next one does not
    /// wait until then.
    #[test]
    fn collection_withstands_a_clock_that_goes_back() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |day: u32| {
            engine(
                scratch.path(),
                SystemTime::UNIX_EPOCH + DAY * (20_000 + day),
            )
        };
        assert!(!at(0).gc_is_due().unwrap(), "nothing is old");
        let ahead = at(7000);
        assert!(ahead.gc_is_due().unwrap());
        ahead.gc(false).unwrap();
        assert!(!ahead.gc_is_due().unwrap());
        let right = at(1);
        assert!(right.gc_is_due().unwrap());
        right.gc(false).unwrap();
        assert!(!right.gc_is_due().unwrap());
    }
}
