//! Cache mounts as things of their own: listed, measured, limited, removed, carried elsewhere.
//!
//! What `RUN --mount=type=cache` gets is decided by the mount's [`CacheMountIdentity`] alone. There
//! may be several instances of one, since a mount that somebody uses alone is not shared.

mod archive;
mod carry;
mod identity;
mod renew;

use std::path::PathBuf;
use std::time::SystemTime;

use store::{CacheMountRow, MountEviction, MountLimit, MountSize, Removed};

use crate::engine::{Engine, Inner};
use crate::error::EngineError;

pub use archive::CacheMountImport;
pub use carry::CacheMountsTo;
pub(crate) use carry::{Carried, Seeds};
pub use identity::CacheMountIdentity;

/// An instance of a cache mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheMountSummary {
    /// Its number.
    pub instance: i64,
    /// What steps get it by.
    pub identity: CacheMountIdentity,
    /// Its directory.
    pub path: PathBuf,
    /// When it was made.
    pub created: SystemTime,
    /// When a step last asked for it.
    pub used: SystemTime,
    /// A step, or a command like this one, has it now.
    pub in_use: bool,
    /// The most that it may take.
    pub limit: Option<MountLimit>,
}

impl Engine {
    /// All instances, by identity.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn cache_mounts(&self) -> Result<Vec<CacheMountSummary>, EngineError> {
        self.0.cache_mount_list()
    }

    /// The instances that `name` means: an id of Dockerfiles, else the number of an instance.
    ///
    /// # Errors
    /// There is none.
    pub fn find_cache_mounts(&self, name: &str) -> Result<Vec<CacheMountSummary>, EngineError> {
        let all = self.0.cache_mount_list()?;
        let by_id = |one: &CacheMountSummary| one.identity.id == name;
        let number = name.parse();
        let by_number = |one: &CacheMountSummary| Ok(one.instance) == number;
        let found: Vec<_> = if all.iter().any(by_id) {
            all.into_iter().filter(by_id).collect()
        } else {
            all.into_iter().filter(by_number).collect()
        };
        if found.is_empty() {
            return Err(EngineError::NoSuchCacheMount(name.to_owned()));
        }
        Ok(found)
    }

    /// What an instance takes. As long as a walk over its files.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn cache_mount_size(&self, instance: i64) -> Result<MountSize, EngineError> {
        Ok(self.0.store.cache_mounts().size(instance)?)
    }

    /// Removes an instance.
    ///
    /// # Errors
    /// Somebody uses it, or it cannot be removed.
    pub fn remove_cache_mount(&self, mount: &CacheMountSummary) -> Result<(), EngineError> {
        let engine = &self.0;
        if engine
            .store
            .cache_mounts()
            .remove(&engine.lease, mount.instance)?
        {
            return Ok(());
        }
        Err(EngineError::CacheMountInUse(mount.identity.id.clone()))
    }

    /// Sets the limit of all mounts with its id, also of those to come, and keeps it at once where
    /// nobody uses them; what went. None takes the limit away.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn limit_cache_mounts(
        &self,
        id: &str,
        limit: Option<(u64, MountEviction)>,
    ) -> Result<Vec<Removed>, EngineError> {
        let mounts = self.0.store.cache_mounts();
        let Some((bytes, eviction)) = limit else {
            if !mounts.remove_limit(id)? {
                return Err(EngineError::NoSuchCacheMountLimit(id.to_owned()));
            }
            return Ok(Vec::new());
        };
        mounts.set_limit(&MountLimit {
            mount: id.to_owned(),
            bytes,
            eviction,
        })?;
        self.0.keep_limits()
    }

    /// All limits, by id.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn cache_mount_limits(&self) -> Result<Vec<MountLimit>, EngineError> {
        Ok(self.0.store.cache_mounts().limits()?)
    }
}

impl Inner {
    /// Lets mounts go, or their oldest files, that are larger than they may be. Those in use wait for
    /// the next time.
    pub(crate) fn keep_limits(&self) -> Result<Vec<Removed>, EngineError> {
        let mut removed = Vec::new();
        for mount in self.cache_mount_list()? {
            let Some(limit) = &mount.limit else { continue };
            let mounts = self.store.cache_mounts();
            let freed = mounts.trim(&self.lease, mount.instance, limit.bytes, limit.eviction)?;
            if let Some(bytes) = freed.filter(|bytes| *bytes > 0) {
                removed.push(Removed {
                    kind: store::Kind::CacheMount,
                    id: mount.instance.to_string(),
                    bytes,
                });
            }
        }
        Ok(removed)
    }

    fn cache_mount_list(&self) -> Result<Vec<CacheMountSummary>, EngineError> {
        let mounts = self.store.cache_mounts();
        let limits = mounts.limits()?;
        let summary = |row: CacheMountRow| {
            let identity = CacheMountIdentity::of_key(&row.key);
            let limit = limits.iter().find(|limit| limit.mount == identity.id);
            Ok(CacheMountSummary {
                in_use: mounts.open(row.id)?.is_none(),
                instance: row.id,
                limit: limit.cloned(),
                identity,
                path: row.path,
                created: row.created,
                used: row.used,
            })
        };
        mounts.list()?.into_iter().map(summary).collect()
    }
}
