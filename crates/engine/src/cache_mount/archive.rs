//! Cache mounts as tars: out, and in as a new instance.
//!
//! The one top directory `data/` of the tar is the mount's own, with its mode and owner. A tar may
//! come from anyone: it is unpacked beneath a directory of its own before anything of it is seen.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use snapshot::diff::{self, Part};
use snapshot::{Overwrite, Owners, Tree, Upper};
use store::{CacheMount, Sharing, TempSnapshot};
use sys::owner::{self, Owner};

use super::{CacheMountIdentity, CacheMountSummary};
use crate::engine::{Engine, Inner};
use crate::error::EngineError;

/// The top directory of a tar.
const TOP: &str = "data";

/// What an archive is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheMountImport {
    /// The id in Dockerfiles.
    pub id: String,
    /// Instead of the archive's.
    pub mode: Option<u32>,
    /// Instead of the archive's.
    pub uid: Option<u32>,
    /// Instead of the archive's.
    pub gid: Option<u32>,
    /// In place of what is there.
    pub replace: bool,
}

/// A tree that was unpacked and belongs to nothing yet.
#[derive(Debug)]
pub(crate) struct Unpacked {
    tree: PathBuf,
    /// The archive said what the directory itself is like.
    pub(crate) has_top: bool,
    _scratch: TempSnapshot,
}

impl Engine {
    /// Writes an instance as a tar. Nobody else has it meanwhile.
    ///
    /// # Errors
    /// Somebody uses it, or it cannot be read or written.
    pub fn export_cache_mount(
        &self,
        mount: &CacheMountSummary,
        output: impl Write,
    ) -> Result<(), EngineError> {
        let held = self.0.store.cache_mounts().open(mount.instance)?;
        let held = held.ok_or_else(|| EngineError::CacheMountInUse(mount.identity.id.clone()))?;
        self.0.write_cache_mount(&held, output)
    }

    /// Makes an instance of a tar, compressed or not; its identity.
    ///
    /// # Errors
    /// It is no tar, or there is such a mount already and it shall not be replaced.
    pub fn import_cache_mount(
        &self,
        input: impl Read + Send,
        import: &CacheMountImport,
    ) -> Result<CacheMountIdentity, EngineError> {
        let engine = &self.0;
        let unpacked = engine.unpack_cache_mount(input)?;
        let identity = unpacked.identity(import)?;
        let mounts = engine.store.cache_mounts();
        let key = identity.key();
        for there in mounts.list()?.into_iter().filter(|row| row.key == key) {
            if !import.replace {
                return Err(EngineError::CacheMountExists(identity.to_string()));
            }
            if !mounts.remove(&engine.lease, there.id)? {
                return Err(EngineError::CacheMountInUse(identity.id));
            }
        }
        let seed = |data: &Path| unpacked.become_mount(data, &identity);
        drop(mounts.acquire(&engine.lease, &key, Sharing::Private, seed)?);
        if unpacked.is_there() {
            // A step was quicker and has one of its own by now.
            return Err(EngineError::CacheMountExists(identity.to_string()));
        }
        Ok(identity)
    }
}

impl Inner {
    pub(crate) fn write_cache_mount(
        &self,
        mount: &CacheMount,
        output: impl Write,
    ) -> Result<(), EngineError> {
        let directory = mount.path().parent().unwrap_or_else(|| mount.path());
        let tree = Tree::directory(directory)?;
        let part = Part {
            path: TOP.into(),
            name: Some(TOP.into()),
        };
        let options = diff::Options {
            clamp_mtime: None,
            pool: Some(self.pool()?),
        };
        diff::export(&tree, &part, &options, output)?;
        Ok(())
    }

    /// Unpacks an archive beside everything.
    pub(crate) fn unpack_cache_mount(
        &self,
        input: impl Read + Send,
    ) -> Result<Unpacked, EngineError> {
        let scratch = self.store.snapshots().allocate(&self.lease)?;
        let upper = Upper::open(scratch.path(), &[], self.marks)?;
        let input = self.uncompressed(input)?;
        snapshot::unpack(
            input,
            &upper,
            Path::new(""),
            Overwrite::Anything,
            Owners::Archive,
            self.config.limits.archive(),
        )?;
        let failed = |source| EngineError::Read {
            path: scratch.path().to_owned(),
            source,
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(scratch.path()).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name());
        }
        let top = scratch.path().join(TOP);
        let is_top =
            names == [TOP] && std::fs::symlink_metadata(&top).is_ok_and(|top| top.is_dir());
        Ok(Unpacked {
            tree: if is_top {
                top
            } else {
                scratch.path().to_owned()
            },
            has_top: is_top,
            _scratch: scratch,
        })
    }
}

impl Unpacked {
    fn identity(&self, import: &CacheMountImport) -> Result<CacheMountIdentity, EngineError> {
        let (mode, uid, gid) = if self.has_top {
            let stat = Tree::directory(&self.tree)?.root().own_stat()?;
            (stat.mode, stat.uid, stat.gid)
        } else {
            (0o755, 0, 0)
        };
        Ok(CacheMountIdentity {
            id: import.id.clone(),
            mode: import.mode.unwrap_or(mode),
            uid: import.uid.unwrap_or(uid),
            gid: import.gid.unwrap_or(gid),
        })
    }

    /// Whether it still belongs to nothing.
    pub(crate) fn is_there(&self) -> bool {
        self.tree.exists()
    }

    /// Takes the place of the empty directory `data`.
    pub(crate) fn become_mount(
        &self,
        data: &Path,
        identity: &CacheMountIdentity,
    ) -> Result<(), EngineError> {
        let failed = |source| EngineError::WriteFile {
            path: data.to_owned(),
            source,
        };
        std::fs::rename(&self.tree, data).map_err(failed)?;
        let owner = Owner {
            uid: identity.uid,
            gid: identity.gid,
        };
        owner::give_path(data, owner).map_err(failed)?;
        let mode = std::fs::Permissions::from_mode(identity.mode);
        std::fs::set_permissions(data, mode).map_err(failed)
    }
}
