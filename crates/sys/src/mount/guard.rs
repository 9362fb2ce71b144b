//! A mount attached at a path for as long as its guard lives.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};

use super::{MountError, MountFlags, MountKind, attach, detach};

/// A mount attached at a path; dropping it unmounts, lazily if something inside is still open.
#[derive(Debug)]
pub struct MountGuard {
    mount: OwnedFd,
    path: PathBuf,
}

impl MountGuard {
    /// Mounts at `path`, which must exist.
    ///
    /// # Errors
    /// The kernel's refusal; nothing stays mounted then.
    pub fn new(kind: &MountKind, flags: MountFlags, path: &Path) -> Result<MountGuard, MountError> {
        let mount = detach(kind, flags)?;
        attach(&mount, path)?;
        Ok(MountGuard {
            mount,
            path: path.to_owned(),
        })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The root of the mount.
    #[must_use]
    pub fn root(&self) -> BorrowedFd<'_> {
        self.mount.as_fd()
    }

    /// Unmounts and says whether that worked.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn unmount(self) -> Result<(), MountError> {
        unmount(&self.path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
            .map_err(MountError::call("umount", self.path.display().to_string()))?;
        // Dropping would unmount whatever is beneath at the same path.
        let mut guard = self;
        guard.path = PathBuf::new();
        Ok(())
    }
}

impl Drop for MountGuard {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // Nobody to tell, and nothing better to try.
            let _ = unmount(&self.path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
        }
    }
}
