//! What `git` speaks SSH with: the agent as a socket in the store, and whom it may speak to as a file
//! there. Both are gone when git is done.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use store::TempSnapshot;

use crate::engine::Inner;
use crate::error::EngineError;
use crate::ssh::{Relay, SshAgent};

const NAME: &str = "agent";
const KNOWN_HOSTS: &str = "known_hosts";

/// The hosts that are known, and what keeps the file of them there.
#[derive(Debug)]
pub(super) struct KnownHosts {
    path: PathBuf,
    scratch: Option<TempSnapshot>,
}

impl KnownHosts {
    /// These alone; or, without any, those that were spoken to before, and new ones at their word.
    pub(super) fn new(engine: &Inner, known: Option<&str>) -> Result<Self, EngineError> {
        let Some(known) = known else {
            return Ok(Self {
                path: engine.store.root().join("locks/ssh-known-hosts"),
                scratch: None,
            });
        };
        let scratch = engine.store.snapshots().allocate(&engine.lease)?;
        let path = scratch.path().join(KNOWN_HOSTS);
        std::fs::write(&path, known).map_err(|source| EngineError::WriteFile {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            path,
            scratch: Some(scratch),
        })
    }

    /// The program that git speaks SSH with.
    pub(super) fn variable(&self) -> (String, String) {
        let which = match self.scratch {
            Some(_) => "-o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=/dev/null",
            None => "-o StrictHostKeyChecking=accept-new",
        };
        let path = self.path.display();
        let ssh =
            format!("ssh -F /dev/null -o BatchMode=yes {which} -o UserKnownHostsFile='{path}'");
        ("GIT_SSH_COMMAND".to_owned(), ssh)
    }
}

/// A socket, and what keeps it there.
#[derive(Debug)]
pub(super) struct AgentSocket {
    _relay: Relay,
    directory: File,
    _scratch: TempSnapshot,
}

impl AgentSocket {
    pub(super) fn new(engine: &Inner, agent: &SshAgent) -> Result<Self, EngineError> {
        let failed = |source| EngineError::Io {
            action: "forward the SSH agent",
            source,
        };
        let scratch = engine.store.snapshots().allocate(&engine.lease)?;
        let owner = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        let path = scratch.path().join(NAME);
        Ok(Self {
            _relay: Relay::start(agent, &path, 0o600, owner).map_err(failed)?,
            directory: File::open(scratch.path()).map_err(failed)?,
            _scratch: scratch,
        })
    }

    /// What git's environment says of it. The path leads through this process, since an address
    /// has room for 107 bytes only.
    pub(super) fn variable(&self) -> (String, String) {
        let (process, directory) = (std::process::id(), self.directory.as_raw_fd());
        let path = format!("/proc/{process}/fd/{directory}/{NAME}");
        ("SSH_AUTH_SOCK".to_owned(), path)
    }
}
