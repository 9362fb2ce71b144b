//! What a step may use and must not keep: secrets, and the client's agent.

use std::path::{Path, PathBuf};

use graph::{FileOwner, Mount, SecretTarget};
use sys::mount::{MountFlags, MountGuard, MountKind};

use super::mounts::{Builder, set_attributes};
use crate::error::EngineError;
use crate::ssh::{Relay, SshAgent};

/// The directory of a secret; empty when dropped.
#[derive(Debug)]
pub(super) enum SecretFile {
    /// In memory.
    Memory(#[expect(dead_code, reason = "held until it is unmounted")] MountGuard),
    /// On disk, where nothing can be mounted.
    Disk(PathBuf),
}

impl SecretFile {
    /// In `directory`, which is there.
    fn new(directory: &Path, flags: MountFlags, on_disk: bool) -> Result<Self, EngineError> {
        if on_disk {
            return Ok(Self::Disk(directory.to_owned()));
        }
        let memory = MountKind::Tmpfs {
            size: Some(1 << 20),
            mode: 0o700,
        };
        let guard = MountGuard::new(&memory, flags, directory).map_err(EngineError::Mount)?;
        Ok(Self::Memory(guard))
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        if let Self::Disk(directory) = self {
            // What cannot be removed now goes with the step's other directories.
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

impl Builder<'_> {
    /// The secret's bytes go where only this step's mounts reach.
    pub(super) fn secret(
        &mut self,
        mount: &Mount,
        id: &str,
        at: &SecretTarget,
        required: bool,
    ) -> Result<(), EngineError> {
        let Some(secret) = self.session.secret(id)? else {
            if required {
                return Err(EngineError::MissingSecret(id.to_owned()));
            }
            return Ok(());
        };
        let (mode, owner) = match at {
            SecretTarget::Env(name) => {
                let value = String::from_utf8_lossy(secret.expose());
                self.env.push(format!("{name}={value}"));
                return Ok(());
            }
            SecretTarget::File { mode, owner } => (*mode, *owner),
        };
        let directory = self.scratch.join(format!("secret-{}", self.secrets.len()));
        let failed = |source| EngineError::WriteFile {
            path: directory.clone(),
            source,
        };
        std::fs::create_dir(&directory).map_err(failed)?;
        let flags = MountFlags::NO_SUID | MountFlags::NO_DEV | MountFlags::NO_EXEC;
        let guard = SecretFile::new(&directory, flags, self.places)?;
        let file = directory.join("secret");
        std::fs::write(&file, secret.expose()).map_err(failed)?;
        set_attributes(&file, mode, owner)?;
        self.secrets.push(guard);
        let kind = MountKind::Bind {
            source: file,
            recursive: false,
        };
        self.push(mount, kind, flags | MountFlags::READ_ONLY);
        Ok(())
    }

    /// A socket of the step's own that leads to the client's agent.
    pub(super) fn agent(
        &mut self,
        mount: &Mount,
        agent: &SshAgent,
        mode: u32,
        owner: FileOwner,
    ) -> Result<(), EngineError> {
        let path = self.scratch.join(format!("agent-{}", self.agents.len()));
        let relay = Relay::start(agent, &path, mode, (owner.uid, owner.gid)).map_err(|source| {
            EngineError::Io {
                action: "forward the SSH agent",
                source,
            }
        })?;
        self.agents.push(relay);
        let kind = MountKind::Bind {
            source: path,
            recursive: false,
        };
        self.push(mount, kind, MountFlags::NO_SUID | MountFlags::NO_DEV);
        Ok(())
    }
}
